import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HandlersUnusable, loadHandlers } from '../../../src/engine/handlers/load-handlers.ts'
import type { LoadSettings } from '../../../src/engine/handlers/load-handlers.ts'
import { createLog } from '../../../src/log.ts'
import { HANDLER_PROCESSES } from '../../harness/handler-processes.ts'
import { FIXTURES, callOf, outputOf, startHost, temporaryDirectory } from './house.ts'

const EXAMPLES = `${import.meta.dirname}/../../../examples/handlers`
const load = (directories: string[], more: Partial<LoadSettings> = {}) =>
  loadHandlers({ ...HANDLER_PROCESSES, log: createLog('silent'), directories, ...more })

async function directoryOf(files: Record<string, string>): Promise<string> {
  const directory = await temporaryDirectory()
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  return directory
}

async function problemsOf(loading: Promise<unknown>): Promise<readonly string[]> {
  const error = await loading.then(
    () => expect.fail('it loaded'),
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(HandlersUnusable)
  return (error as HandlersUnusable).problems
}

test('the registry names every handler with its file and export (A1)', async () => {
  const registry = await load([FIXTURES])
  expect(registry.get('facts')).toEqual({
    name: 'facts',
    inline: false,
    exportName: 'facts',
    file: `${FIXTURES}/well-behaved.ts`,
  })
  expect(registry.get('echo')).toMatchObject({ exportName: 'default' })
  expect(registry.get('inline_echo')).toMatchObject({ inline: true, handler: { name: 'inline_echo' } })
})

test('modules are loaded in another process; only those with inline handlers are imported here', async () => {
  const directory = await directoryOf({
    'apart.mjs': `globalThis.loadedApart = true; export default { name: 'apart', run: () => 1 }`,
    'inline.mjs': `globalThis.loadedInline = true; export default { name: 'here', inline: true, run: () => 1 }`,
  })
  expect([...(await load([directory])).keys()]).toEqual(['apart', 'here'])
  expect(globalThis).not.toHaveProperty('loadedApart')
  expect(globalThis).toHaveProperty('loadedInline', true)
})

test('plain objects in JavaScript are handlers, from ES modules and CommonJS, under several export names and through links', async () => {
  const directory = await directoryOf({
    'es.mjs': `export const shout = { name: 'shout', run: (text) => text.toUpperCase() }; export default shout; export const other = 1`,
    'package.json': `{ "type": "commonjs" }`,
    'common.js': `module.exports = { name: 'common', run: (x) => ({ got: x }) }`,
  })
  await mkdir(join(directory, '..data'))
  await writeFile(join(directory, '..data', 'linked.mjs'), `export default { name: 'linked', run: () => 'linked' }`)
  await symlink('..data/linked.mjs', join(directory, 'linked.mjs'))
  const registry = await load([directory])
  expect([...registry.keys()].sort()).toEqual(['common', 'linked', 'shout'])
  const host = await startHost({ registry })
  expect(await outputOf(host, 'shout', 'hey')).toBe('HEY')
  expect(await outputOf(host, 'common', 1)).toEqual({ got: 1 })
  expect(await outputOf(host, 'linked')).toBe('linked')
})

test('tests, declarations, dotfiles, other files and subdirectories are not loaded', async () => {
  const bomb = `throw new Error('must not be loaded')`
  const directory = await directoryOf({
    'a.test.ts': bomb,
    'a.d.ts': bomb,
    '.a.ts': bomb,
    'a.json': bomb,
    'README.md': bomb,
    'ok.ts': `export default { name: 'ok' as string, run: () => 1 }`,
  })
  await mkdir(join(directory, 'shared.mjs'))
  await writeFile(join(directory, 'shared.mjs', 'a.ts'), bomb)
  expect([...(await load([directory, directory])).keys()]).toEqual(['ok'])
})

test('everything that is wrong is told at once, with its file', async () => {
  const first = await directoryOf({
    'a-fine.mjs': `export default { name: 'twin', run: () => 1 }`,
    'shape.mjs': `export default { name: 'not a name', inline: 'yes', run: 3, retries: 1 }; export const odd = { name: Object.create(null), run() {} }`,
    'throws.mjs': `throw new Error('cannot start')`,
    'exits.mjs': `process.exit(3)`,
    'late.mjs': `setTimeout(() => { throw new Error('late') }, 0); await new Promise(() => {})`,
    'waits.mjs': `await new Promise(() => {}); export default 1`,
    'spins.mjs': `for (;;) {}`,
    'nothing.mjs': `export const helper = () => 1`,
    'syntax.mjs': `this is not javascript`,
  })
  const second = await directoryOf({ 'twin.mjs': `export default { name: 'twin', run: () => 2 }` })
  const problems = await problemsOf(load([first, second, '/does/not/exist'], { loadMs: 3_000 }))
  const told = problems.map((problem) => problem.replaceAll(`${first}/`, '').replaceAll(`${second}/`, ''))
  const expected = [
    '/does/not/exist: cannot be read (ENOENT)',
    'exits.mjs: ended its process while it was loaded: exit code 3',
    'late.mjs: cannot be loaded: Uncaught error: late',
    'nothing.mjs: exports no handler; put shared code into a subdirectory',
    'shape.mjs: export "default": name must be 1-64 of A-Z a-z 0-9 _, not "not a name"',
    'shape.mjs: export "default": run must be a function',
    'shape.mjs: export "default": inline must be true or false',
    'shape.mjs: export "default": unknown field "retries"',
    'shape.mjs: export "odd": name must be 1-64 of A-Z a-z 0-9 _, not an object',
    'spins.mjs: did not load within 3000 ms',
    "syntax.mjs: cannot be loaded: Unexpected identifier 'is'",
    'throws.mjs: cannot be loaded: cannot start',
    'twin.mjs: handler "twin" is in a-fine.mjs already',
    'waits.mjs: did not load within 3000 ms',
  ]
  expect(told.toSorted()).toEqual(expected.toSorted())
})

test('a module that changes after it was loaded is told where it runs', async () => {
  const directory = await directoryOf({
    'gone.mjs': `export default { name: 'gone', run: () => 1 }`,
    'broken.mjs': `export default { name: 'broken', run: () => 1 }`,
  })
  const registry = await load([directory])
  await writeFile(join(directory, 'gone.mjs'), `export const nothing = 1`)
  await writeFile(join(directory, 'broken.mjs'), `throw new Error('half deployed')`)
  const host = await startHost({ registry })
  expect(await host.run(callOf('gone')).outcome).toMatchObject({ code: 'HANDLER_NOT_REGISTERED' })
  expect(await host.run(callOf('broken')).outcome).toMatchObject({
    code: 'HANDLER_NOT_REGISTERED',
    message: expect.stringContaining('half deployed'),
  })
})

test('compiled code is kept in the given directory, which handlers do not hear of', async () => {
  const compileCacheDirectory = join(await temporaryDirectory(), 'compiled')
  const registry = await load([FIXTURES], { compileCacheDirectory })
  expect(await readdir(compileCacheDirectory, { recursive: true })).not.toHaveLength(0)
  const host = await startHost({ registry, compileCacheDirectory })
  expect(Object.keys((await outputOf(host, 'environment')) as object)).not.toContain('NODE_COMPILE_CACHE')
})

test('the example handlers do what they say', async () => {
  const host = await startHost({ registry: await load([EXAMPLES]) })
  expect(await outputOf(host, 'echo', { a: 1 })).toEqual({ a: 1 })
  expect(await outputOf(host, 'inline_echo', [2])).toEqual([2])
  expect(await outputOf(host, 'word_count', { text: 'To be, or not to be.', top: 2 })).toEqual({
    words: 6,
    distinct: 4,
    mostFrequent: [
      { word: 'be', count: 2 },
      { word: 'to', count: 2 },
    ],
  })
  expect(await host.run(callOf('word_count', { text: 3 })).outcome).toMatchObject({ code: 'STEP_FAILED', retryable: false })
  expect(await outputOf(host, 'countdown', { from: 3, pauseMs: 1 })).toEqual({ counted: 3 })
})
