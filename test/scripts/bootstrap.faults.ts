/** The script behind `npm start` and `npm test`, tried on a project with one dependency of its own. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, onTestFinished, test, vi } from 'vitest'

const run = promisify(execFile)
const repository = join(import.meta.dirname, '../..')
const project = await mkdtemp(join(tmpdir(), 'sluice-project-'))
afterAll(() => rm(project, { recursive: true, force: true }))

for (const script of ['bootstrap.mjs', 'parent-watch.mjs'])
  await cp(join(repository, 'scripts', script), join(project, 'scripts', script))
await mkdir(join(project, 'src'))
await mkdir(join(project, 'tool'))
const dependencies = { tool: 'file:tool' }
await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'project', type: 'module', dependencies }))
await writeFile(join(project, 'tool', 'package.json'), JSON.stringify({ name: 'tool', version: '1.0.0' }))
await writeLock('1.0.0')
// What every test runs: says its arguments and its pid, ends with 7 when it is asked to stop.
await writeFile(
  join(project, 'src', 'main.ts'),
  `const args: string[] = process.argv.slice(2)
   if (args.includes('--wait')) {
     process.once('SIGTERM', () => process.exit(7))
     setInterval(() => undefined, 1_000)
   }
   console.log(JSON.stringify({ args, pid: process.pid }))`,
)
const bootstrap = join(project, 'scripts', 'bootstrap.mjs')
vi.setConfig({ testTimeout: 30_000 })

function writeLock(version: string): Promise<void> {
  const packages = {
    '': { name: 'project', dependencies },
    'node_modules/tool': { resolved: 'tool', link: true },
    tool: { version: '1.0.0' },
  }
  return writeFile(join(project, 'package-lock.json'), JSON.stringify({ name: 'project', version, lockfileVersion: 3, packages }))
}

test('it installs when the lockfile is not the one that was installed, and only then', async () => {
  const first = await run(process.execPath, [bootstrap, 'start'])
  expect(first.stderr).toMatch(/Dependencies installed in/)
  const second = await run(process.execPath, [bootstrap, 'start'])
  expect(second.stderr).toBe('')
  await writeLock('1.0.1')
  expect((await run(process.execPath, [bootstrap, 'start'])).stderr).toMatch(/Dependencies installed in/)
  await rm(join(project, 'node_modules'), { recursive: true })
  expect((await run(process.execPath, [bootstrap, 'start'])).stderr).toMatch(/Dependencies installed in/)
})

test('an install that fails says why, and the next start tries again', async () => {
  await writeFile(join(project, 'package-lock.json'), '{ "broken"')
  const failing = run(process.execPath, [bootstrap, 'start'])
  await expect(failing).rejects.toMatchObject({ stderr: expect.stringMatching(/npm error/), stdout: '' })
  await expect(stat(join(project, 'node_modules', '.sluice-installed'))).rejects.toThrow('ENOENT')
  await writeLock('1.0.0')
  expect((await run(process.execPath, [bootstrap, 'start'])).stdout).toMatch(/"args":\["start"\]/)
})

test('arguments go through to the program', async () => {
  const { stdout } = await run(process.execPath, [bootstrap, 'start', '--port', '0', 'a b'])
  expect(JSON.parse(stdout).args).toEqual(['start', '--port', '0', 'a b'])
})

test('`run` runs any file with its arguments', async () => {
  const { stdout } = await run(process.execPath, [bootstrap, 'run', join(project, 'src', 'main.ts'), 'x'])
  expect(JSON.parse(stdout).args).toEqual(['x'])
})

test('a task that is not known is refused with the usage', async () => {
  await expect(run(process.execPath, [bootstrap, 'serve'])).rejects.toMatchObject({
    code: 64,
    stderr: expect.stringMatching(/^usage:/),
  })
})

async function startWaiting(): Promise<{ parent: ReturnType<typeof spawn>; childPid: number; exited: Promise<unknown[]> }> {
  const parent = spawn(process.execPath, [bootstrap, 'start', '--wait'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(parent, 'exit')
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const childPid = (JSON.parse(line.toString()) as { pid: number }).pid
  onTestFinished(async () => {
    parent.kill('SIGKILL')
    await exited
  })
  return { parent, childPid, exited }
}

test('a signal reaches the program, and its exit code comes back', async () => {
  const { parent, exited } = await startWaiting()
  parent.kill('SIGTERM')
  expect(await exited).toEqual([7, null])
})

test('a program that a signal ended is told by the exit code', async () => {
  const { childPid, exited } = await startWaiting()
  process.kill(childPid, 'SIGKILL')
  expect(await exited).toEqual([128 + 9, null])
})

test('when it is killed itself, the program is asked to stop', async () => {
  const { parent, childPid } = await startWaiting()
  parent.kill('SIGKILL')
  await vi.waitFor(() => expect(() => process.kill(childPid, 0)).toThrow('ESRCH'), { timeout: 10_000 })
})
