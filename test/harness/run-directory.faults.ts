/** What a run leaves behind, however it ends. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'

/** A run in its own process that starts a server, which says where it works. */
const RUN = `
  import { spawn } from 'node:child_process'
  import { makeRunDirectory } from ${JSON.stringify(`${import.meta.dirname}/run-directory.ts`)}
  const { path } = await makeRunDirectory()
  const server = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' })
  process.once('SIGTERM', () => process.exit(143))
  console.log(JSON.stringify({ path, pid: server.pid }))
  setInterval(() => {}, 1000)`

test.each(['SIGTERM', 'SIGKILL'] as const)('a run that is ended by %s leaves neither processes nor files', async (signal) => {
  const run = spawn(process.execPath, ['--input-type=module', '-e', RUN], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void run.kill('SIGKILL'))
  const [said] = await once(run.stdout, 'data')
  const { path, pid } = JSON.parse(String(said)) as { path: string; pid: number }
  onTestFinished(() => void (isAlive(pid) && process.kill(pid, 'SIGKILL')))
  expect([existsSync(path), isAlive(pid)]).toEqual([true, true])
  const exited = once(run, 'exit')
  run.kill(signal)
  await exited
  // who is killed cannot wait for it
  if (signal === 'SIGKILL') await expect.poll(() => existsSync(path), { timeout: 60_000 }).toBe(false)
  expect([existsSync(path), isAlive(pid)]).toEqual([false, false])
})

/** Whoever was killed and not reaped yet has no command any more. */
function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== ''
  } catch {
    return false
  }
}
