/** No string of a definition reaches a JavaScript evaluator (C9): what reads, checks and runs definitions works where there is none. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The examples validated, compiled and simulated, every file of it with V8's evaluators switched off. */
const SCRIPT = `
  import { exampleFlows } from './examples/flows/all.ts'
  import { runSimulateCommand } from './src/commands/simulate.ts'
  import { loadConfig } from './src/config/config.ts'
  import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
  import { tmpdir } from 'node:os'
  const refused = [() => eval('1'), () => new Function('return 1'), () => (() => {}).constructor('return 1')].filter((make) => {
    try { make() } catch { return true }
  })
  const directory = mkdtempSync(tmpdir() + '/sluice-no-code-')
  const codes = []
  let said = ''
  for (const flow of exampleFlows) {
    writeFileSync(directory + '/flow.json', JSON.stringify(flow))
    const cases = 'examples/cases/' + flow.name.replaceAll('_', '-') + '.json'
    codes.push(await runSimulateCommand([directory + '/flow.json', '--case', cases], loadConfig({}, { mode: 'schema' }), (text) => (said += text)))
  }
  rmSync(directory, { recursive: true })
  console.log(JSON.stringify({ refused: refused.length, codes, said }))
`

test('definitions are validated, compiled and run with the evaluators of JavaScript switched off (C9)', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--disallow-code-generation-from-strings', '--input-type=module-typescript', '--eval', SCRIPT],
    { cwd: root },
  )
  const { refused, codes, said } = JSON.parse(stdout) as { refused: number; codes: number[]; said: string }
  expect(refused).toBe(3)
  expect([codes, said]).toEqual([codes.map(() => 0), expect.stringMatching(/^(ok .*\n|\d+ of \d+ as expected\n)+$/)])
})
