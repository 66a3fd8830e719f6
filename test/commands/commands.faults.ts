/** `sluice` as people and scripts call it: help, wrong calls, and how it ends. */
import { expect, test } from 'vitest'
import { COMMANDS } from '../../src/commands/commands.ts'
import { freePort } from '../harness/free-port.ts'
import { dataDirectory, spawnSluice } from '../harness/server-process.ts'

const directory = await dataDirectory()

/** The code that it ends with, and what it printed. */
async function call(line: string, settings: Record<string, string> = {}): Promise<[number | null, string]> {
  const spawned = spawnSluice(line, directory, settings)
  return [await spawned.ended(), spawned.output()]
}

test('every command says how it is used, and the list of commands names all', { timeout: 180_000 }, async () => {
  const [code, list] = await call('--help')
  expect(code).toBe(0)
  for (const name of Object.keys(COMMANDS)) {
    expect(list).toMatch(new RegExp(`^  ${name} +\\S`, 'm'))
    const { usage } = await COMMANDS[name]!.load()
    expect(usage).toMatch(new RegExp(`^usage: sluice ${name === 'restored' ? 'restore' : name}\\b`))
  }
  expect(await call('work --help')).toEqual([0, (await COMMANDS['work']!.load()).usage])
})

test('what it does not know is refused with 64 and the usage, a wrong setting with 78', { timeout: 180_000 }, async () => {
  const [unknown, hint] = await call('wrok')
  expect([unknown, hint]).toEqual([
    64,
    expect.stringMatching(/no command "wrok"; did you mean "work"\?\n\nusage: sluice <command>/),
  ])
  const [flag, told] = await call('serve --concurrency 5')
  expect([flag, told]).toEqual([64, expect.stringMatching(/'--concurrency'[\s\S]*usage: sluice serve/)])
  expect((await call('migrate now'))[0]).toBe(64)
  const [wrong, mistakes] = await call('work --concurrency many')
  expect([wrong, mistakes]).toEqual([
    78,
    expect.stringMatching(/DATABASE_URL must be set[\s\S]*SLUICE_MAX_HELD|SLUICE_MAX_HELD[\s\S]*DATABASE_URL must be set/),
  ])
})

test('`check-config` shows what a process would have, `health` asks it', { timeout: 180_000 }, async () => {
  const password = 'hunter2'
  const [code, shown] = await call('check-config', { DATABASE_URL: `postgres://u:${password}@db/x` })
  expect([code, shown]).toEqual([0, expect.stringContaining('  DATABASE_URL is set\n')])
  expect(shown).not.toContain(password)
  expect((await call('check-config work'))[0]).toBe(78)

  const PORT = String(await freePort())
  expect((await call('health', { PORT }))[0]).toBe(1)
  const server = spawnSluice(`start --port ${PORT}`, directory)
  await server.said(/is ready/)
  expect(await call('health', { PORT })).toEqual([0, '{"status":"ok"}\n'])
  const taken = spawnSluice('start', await dataDirectory(), { PORT })
  expect([await taken.ended(), taken.output()]).toEqual([1, expect.stringContaining(`port ${PORT} is taken`)])
  expect(await server.end('SIGINT')).toBe(0)
})
