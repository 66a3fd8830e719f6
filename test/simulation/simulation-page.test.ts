/** docs/simulation.md tells the truth: its flow and its cases are run, by the command and through the API. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import { runSimulateCommand } from '../../src/commands/simulate.ts'
import { testApi } from '../harness/api.ts'

const page = readFileSync(new URL('../../docs/simulation.md', import.meta.url), 'utf8')
function block(info: string): string {
  const found = page.split(`\`\`\`${info}\n`)[1]?.split('```')[0]
  if (found === undefined) throw new Error(`no block ${info}`)
  return found
}

const directory = mkdtempSync(join(tmpdir(), 'sluice-page-'))
afterAll(() => rmSync(directory, { recursive: true }))
const api = await testApi({ handlers: { charge_card: () => expect.unreachable('nothing is called') } })

test('the command prints what the page says', async () => {
  const [flow, cases] = [join(directory, 'subscription.json'), join(directory, 'cases.json')]
  writeFileSync(flow, block('json definition'))
  writeFileSync(cases, block('json cases'))
  let said = ''
  const code = await runSimulateCommand([flow, '--case', cases], loadConfig({}, { mode: 'schema' }), (text) => (said += text))
  expect(said).toBe(block('text printed'))
  expect(code).toBe(0)
})

test('through the API the cases of the page pass too', async () => {
  const me = await api.person()
  const definition: unknown = JSON.parse(block('json definition'))
  for (const given of JSON.parse(block('json cases')) as object[]) {
    const { data, errors } = await api.run(me, block('graphql simulate'), { definition, case: given })
    expect(errors).toEqual([])
    expect(data.simulateFlow.simulation).toMatchObject({ passed: true, differences: [], problem: null })
  }
})
