/** `sluice simulate` in somebody's CI: exit codes, and output that says what is wrong. The cases of the examples pass. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { exampleFlows } from '../../examples/flows/all.ts'
import { loadConfig } from '../../src/config/config.ts'
import { runSimulateCommand } from '../../src/commands/simulate.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'sluice-simulate-'))
afterAll(() => rmSync(directory, { recursive: true }))
const config = loadConfig({}, { mode: 'schema' })

async function simulate(...args: string[]): Promise<{ code: number; said: string }> {
  let said = ''
  const code = await runSimulateCommand(args, config, (text) => (said += text))
  return { code, said }
}

function file(name: string, content: unknown): string {
  const path = join(directory, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

describe('the cases of the examples', () => {
  test.each(exampleFlows.map((flow) => [flow.name, flow] as const))('%s', async (name, definition) => {
    const cases = join(root, 'examples/cases', `${name.replaceAll('_', '-')}.json`)
    const { code, said } = await simulate(file(`${name}.json`, definition), '--case', cases)
    expect(said).toMatch(/^(ok .*\n)+\d+ of \d+ as expected\n$/)
    expect(code).toBe(0)
  })
})

const flow = { name: 'charge', steps: { charge: { type: 'handler', handler: 'charge_card', retry: { attempts: 1 } } } }

test('all as expected is 0; a difference is 1, with what differs and the history', async () => {
  const path = file('flow.json', flow)
  const good = file('good.json', { name: 'paid', results: { charge: { output: 1 } }, expect: { status: 'SUCCEEDED' } })
  expect(await simulate(path, '--case', good)).toEqual({
    ...{ code: 0, said: 'ok     paid: SUCCEEDED after PT0S, 4 events\n1 of 1 as expected\n' },
  })
  const bad = file('bad.json', {
    name: 'declined',
    results: { charge: { error: { code: 'STEP_FAILED', message: 'no' } } },
    expect: { status: 'SUCCEEDED' },
  })
  const { code, said } = await simulate(path, '--case', good, '--case', bad)
  expect(code).toBe(1)
  expect(said).toContain('FAILED declined: FAILED after PT0S')
  expect(said).toContain('expect.status: expected "SUCCEEDED", found "FAILED"')
  expect(said).toContain('step.failed charge {"error":{"code":"STEP_FAILED","message":"no"}}')
  expect(said).toContain('1 of 2 as expected')
})

test('what a case does not say is 1, and says what to add', async () => {
  const { code, said } = await simulate(file('flow.json', flow))
  expect(code).toBe(1)
  expect(said).toContain('The case gives no result for "charge" (attempt 1)')
})

test('mistakes in a definition, a case or a file are 65, wrong usage is 64', async () => {
  const path = file('flow.json', flow)
  const wrong = file('wrong.json', { name: 'charge', steps: { charge: { type: 'handler', handlr: 'x' } } })
  for (const [args, what] of [
    [[wrong], 'handlr'],
    [[path, '--case', file('case.json', { results: { chrage: { output: 1 } } })], 'results.chrage'],
    [[path, '--case', file('broken.json', '{')], 'broken.json'],
    [[join(directory, 'none.json')], 'ENOENT'],
  ] as const) {
    const { code, said } = await simulate(...args)
    expect(said).toContain(what)
    expect(code, what).toBe(65)
  }
  expect(await simulate()).toMatchObject({ code: 64, said: expect.stringContaining('usage: sluice simulate') })
})

test('--json is a line for each case', async () => {
  const cases = file('cases.json', [
    { name: 'a', results: { charge: { output: 1 } } },
    { results: { charge: { output: 2 } }, expect: { output: 3 } },
  ])
  const { code, said } = await simulate(file('flow.json', flow), '--case', cases, '--json')
  expect(code).toBe(1)
  expect(
    said
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object),
  ).toMatchObject([
    { name: 'a', passed: true, status: 'SUCCEEDED', differences: [] },
    { name: expect.stringContaining('[1]'), passed: false, differences: [{ path: ['output'] }] },
  ])
})

test('the program itself: no server, no database, the exit code of the process', { timeout: 60_000 }, () => {
  const args = ['src/main.ts', 'simulate', 'examples/flows/feature-approval.ts', '--case', 'examples/cases/feature-approval.json']
  const { status, stdout } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  })
  expect(stdout).toContain('3 of 3 as expected')
  expect(status).toBe(0)
})
