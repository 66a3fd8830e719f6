/** `sluice simulate`: runs the cases of a flow on a virtual clock, without a server, and ends with 1 when one does not come out as expected. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import type { Config } from '../config/config-types.ts'
import type { Issue } from '../errors.ts'
import { compile } from '../language/compile.ts'
import type { Program } from '../language/program.ts'
import { loadSqlParserFor } from '../language/sql/sql-parser.ts'
import type { AllowList } from '../language/values.ts'
import { readCase } from '../simulation/case.ts'
import type { CompileFlow } from '../simulation/case.ts'
import { compare } from '../simulation/compare.ts'
import type { Difference } from '../simulation/compare.ts'
import { simulate, sinceStart } from '../simulation/simulate.ts'
import type { SimulationLimits } from '../simulation/simulate.ts'
import type { Simulation } from '../simulation/simulation.ts'

export const SIMULATE_USAGE = `usage: sluice simulate <flow> [--case FILE]... [--history] [--json]

  <flow>       a definition: JSON, or a module (.ts, .js) that exports it
  --case FILE  JSON: a case, or a list of them; without one, an empty case
  --history    prints what happened also when all is as expected
  --json       prints a line of JSON for each case instead
`

/** Nobody else waits for it: only what never ends is stopped. */
const LIMITS: SimulationLimits = { transitions: 1_000_000, events: 1_000_000, work: 1_000_000_000 }

const EXIT = { asExpected: 0, different: 1, usage: 64, data: 65 } as const

/** Mistakes in what it was given. */
class DataError extends Error {}

/** The process's exit code: 0; 1 = something came out differently; 64 = wrong usage; 65 = the definition or a case is not valid. */
export async function runSimulateCommand(
  args: readonly string[],
  config: Config,
  print: (text: string) => void,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { case: { type: 'string', multiple: true }, history: { type: 'boolean' }, json: { type: 'boolean' } },
  })
  const [flow, ...more] = positionals
  if (flow === undefined || more.length > 0) {
    print(SIMULATE_USAGE)
    return EXIT.usage
  }
  try {
    const program = await compiled(flow, await readFlow(flow), config)
    const cases = values.case ? (await Promise.all(values.case.map(readCases))).flat() : [{ name: 'no case', value: {} }]
    await loadSqlParserFor(cases)
    const compileFlow: CompileFlow = (definition) => compile(definition, allowOf(definition, config))
    const different = cases
      .map((one) => runCase(program, one, { ...values, print, compileFlow }))
      .filter((passed) => !passed).length
    if (!values.json) print(`${cases.length - different} of ${cases.length} as expected\n`)
    return different === 0 ? EXIT.asExpected : EXIT.different
  } catch (error) {
    if (!(error instanceof DataError)) throw error
    print(`${error.message}\n`)
    return EXIT.data
  }
}

interface NamedCase {
  name: string
  value: unknown
}

function runCase(
  program: Program,
  { name, value }: NamedCase,
  {
    history,
    json,
    print,
    compileFlow,
  }: { history?: boolean; json?: boolean; print: (text: string) => void; compileFlow: CompileFlow },
): boolean {
  const read = readCase(value, program, compileFlow)
  if (!('case' in read)) throw new DataError(`${name}: the case is not valid:\n${listed(read.issues)}`)
  const found = simulate(program, read.case, LIMITS)
  const differences = compare(read.case.expect, found)
  const passed = differences.length === 0
  if (json) print(`${JSON.stringify({ name: read.case.name ?? name, passed, differences, ...found })}\n`)
  else print(report(read.case.name ?? name, found, differences, history === true || !passed))
  return passed
}

function report(name: string, found: Simulation, differences: readonly Difference[], history: boolean): string {
  const { status, events, cost, unused } = found
  const took = sinceStart(found, found.endedAt)
  return [
    `${differences.length === 0 ? 'ok    ' : 'FAILED'} ${name}: ${status} after ${took}, ${events.length} events${cost > 0 ? `, ${cost} tokens` : ''}`,
    ...differences.map(({ path, message }) => `       ${['expect', ...path].join('.')}: ${message}`),
    ...unused.map((key) => `       nothing asked for the result "${key}"`),
    ...(history ? events.map((event) => `       ${line(found, event)}`) : []),
    '',
  ].join('\n')
}

function line(found: Simulation, { seq, at, type, path, attempt, data }: Simulation['events'][number]): string {
  const more = [
    path,
    attempt !== undefined && attempt > 1 && `attempt ${attempt}`,
    data !== undefined && JSON.stringify(data).slice(0, 200),
  ]
  return [String(seq).padStart(4), sinceStart(found, at).padEnd(14), type, ...more.filter(Boolean)].join(' ')
}

async function readFlow(file: string): Promise<unknown> {
  if (file.endsWith('.json')) return readJson(file)
  const module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>
  const [only, ...others] = Object.values(module)
  if (module['default'] === undefined && others.length > 0)
    throw new DataError(`${file}: it exports several things, and none as default`)
  return module['default'] ?? only
}

async function readCases(file: string): Promise<NamedCase[]> {
  const found = await readJson(file)
  if (!Array.isArray(found)) return [{ name: file, value: found }]
  return found.map((value: unknown, at) => ({ name: `${file} [${at}]`, value }))
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new DataError(`${file}: ${(error as Error).message}`)
  }
}

async function compiled(file: string, definition: unknown, config: Config): Promise<Program> {
  await loadSqlParserFor(definition)
  const made = compile(definition, allowOf(definition, config))
  if ('program' in made) return made.program
  throw new DataError(`${file}: the definition is not valid:\n${listed(made.issues)}`)
}

/** Which code and which sources a server has is not known here, and nothing of it is used. */
const allowOf = (definition: unknown, { engine }: Config): AllowList => ({
  roles: new Set(engine.agentRoles),
  handlers: new Set(namedAs('handler', definition)),
  sources: new Set(namedAs('source', definition)),
})

/** Every text that stands under this key anywhere in it. */
function namedAs(key: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  const named = (value as Record<string, unknown>)[key]
  return [...(typeof named === 'string' ? [named] : []), ...Object.values(value).flatMap((inner) => namedAs(key, inner))]
}

const listed = (issues: readonly Issue[]): string =>
  issues.map(({ path, message, hint }) => `  ${path.join('.')}: ${message}${hint === undefined ? '' : ` (${hint})`}`).join('\n')
