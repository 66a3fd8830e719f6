/** `sluice watch` against a whole server: a drawing for terminals, lines for everything else, and an exit code. */
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import type { Terminal } from '../../src/watch/screen.ts'
import { runWatchCommand } from '../../src/watch/watch-command.ts'
import { approve, runningServer } from '../clients/running-server.ts'

const { origin, session, password, start } = await runningServer()
const settings = { SLUICE_URL: origin, SLUICE_ADMIN_PASSWORD: password }

class Tape implements Terminal {
  text = ''
  readonly columns = 100
  readonly rows = 30
  readonly isTTY: boolean
  readonly #waiting: { text: string; resolve: () => void }[] = []
  constructor(isTTY: boolean) {
    this.isTTY = isTTY
  }
  write(text: string): void {
    this.text += text
    for (const each of this.#waiting) if (this.text.includes(each.text)) each.resolve()
  }
  shows(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ text, resolve })
      this.write('')
    })
  }
}

function watch(terminal: Terminal, args: readonly string[], environment: Record<string, string> = settings) {
  const enough = new AbortController()
  const config = loadConfig(environment, { mode: 'schema' })
  return { code: runWatchCommand(args, { config, terminal, colour: false, signal: enough.signal }), enough }
}
const expensive = () => start('feature_approval', { feature_name: 'Live dashboards', estimated_cost: 2_000_000 })

test('in a terminal the execution is drawn until it ends, and success is 0', async () => {
  const [id, terminal] = [await expensive(), new Tape(true)]
  const { code } = watch(terminal, [id])
  await terminal.shows('◐ ask_ceo')
  await approve(session, id)
  expect(await code).toBe(0)
  expect(terminal.text).toContain('for ceo, ')
  expect(terminal.text.slice(terminal.text.lastIndexOf('feature_approval v1'))).toMatch(
    /✔ SUCCEEDED [^]*6\/6 steps[^]*ended[^]*✔ tell/,
  )
  expect(terminal.text.endsWith('\u001B[?25h')).toBe(true)
})

test('elsewhere each event is a line, with a token from the environment', async () => {
  const [id, terminal] = [await expensive(), new Tape(false)]
  const { code } = watch(terminal, [id], { SLUICE_URL: origin, SLUICE_TOKEN: await session.token(false) })
  await terminal.shows('ceo: Approve the high-cost feature Live dashboards')
  await approve(session, id)
  expect(await code).toBe(0)
  const lines = terminal.text.trim().split('\n')
  expect(lines[0]).toContain('execution.started')
  expect(lines.at(-1)).toMatch(/^SUCCEEDED after /)
  expect(terminal.text).not.toContain('\u001B')
})

test('all executions are shown until somebody has seen enough', async () => {
  const terminal = new Tape(true)
  const { code, enough } = watch(terminal, ['--all'])
  await terminal.shows('live')
  const id = await expensive()
  await terminal.shows(id)
  enough.abort()
  expect(await code).toBe(0)
})

test('Ctrl-C ends with 130 and leaves the execution alone', async () => {
  const [id, terminal] = [await expensive(), new Tape(true)]
  const { code, enough } = watch(terminal, [id])
  await terminal.shows('◐ ask_ceo')
  enough.abort()
  expect(await code).toBe(130)
  await approve(session, id)
})

test('what cannot be followed is said, and ends with 1; wrong usage with 64; without a way to sign in it says what to set', async () => {
  const terminal = new Tape(false)
  expect(await watch(terminal, ['exec_01m81d5mh1er5s8et5q5ks7651']).code).toBe(1)
  expect(terminal.text).toContain('There is no such thing')
  for (const args of [[], ['a', 'b'], ['a', '--all']]) {
    const usage = new Tape(false)
    expect(await watch(usage, args).code).toBe(64)
    expect(usage.text).toContain('usage: sluice watch')
  }
  const stranger = watch(terminal, ['exec_01m81d5mh1er5s8et5q5ks7651'], { SLUICE_URL: origin, SLUICE_DATA_DIR: '/nowhere' })
  await expect(stranger.code).rejects.toThrow('SLUICE_TOKEN')
  // the administrator's password leaves this machine for nobody
  const elsewhere = watch(terminal, ['exec_01m81d5mh1er5s8et5q5ks7651', '--url', 'http://flows.example.com'])
  await expect(elsewhere.code).rejects.toThrow('Set SLUICE_TOKEN to sign in at http://flows.example.com/graphql.')
  const nobody = watch(terminal, ['exec_01m81d5mh1er5s8et5q5ks7651', '--url', 'http://127.0.0.1:1'])
  await expect(nobody.code).rejects.toThrow('Cannot sign in at http://127.0.0.1:1/graphql: ')
})
