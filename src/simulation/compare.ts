/** What a case expects against what came of it: every difference, with its place. Pure. */
import type { StepRunRow } from '../engine/decide/draft.ts'
import { formatDuration } from '../language/duration.ts'
import type { Json } from '../language/values.ts'
import type { Expectation } from './case.ts'
import type { Simulation } from './simulation.ts'

export interface Difference {
  /** into `expect`, key by key */
  path: string[]
  message: string
}

/** A history with one mistake in it has a few; more would not be read. */
const MAX_DIFFERENCES = 100
const MAX_SHOWN = 200

/** A simulation that could not go on differs from everything. */
export function compare(expected: Expectation | undefined, found: Simulation): Difference[] {
  const differences: Difference[] = []
  if (found.problem) differences.push({ path: [], message: found.problem.message })
  const { steps = {}, events = [], noEvents = [], duration, maxCost, output, ...plain } = expected ?? {}
  if (expected && 'output' in expected) compareWhole(output!, found.output, ['output'], differences)
  for (const [name, value] of Object.entries(plain)) {
    compareParts(value, found[name as keyof typeof plain] as unknown as Json, [name], differences)
  }
  if (duration !== undefined) {
    const [wanted, took] = [duration, found.endedAt - found.startedAt].map(formatDuration)
    if (wanted !== took) differences.push({ path: ['duration'], message: `expected ${wanted}, it took ${took}` })
  }
  if (maxCost !== undefined && found.cost > maxCost)
    differences.push({ path: ['maxCost'], message: `expected ${maxCost} tokens at the most, it cost ${found.cost}` })
  const ended = new Map(found.steps.map((step) => [step.path, step]))
  for (const [path, step] of Object.entries(steps)) compareStep(step, ended.get(path), ['steps', path], differences)
  compareEvents(events, noEvents, found, differences)
  return differences.slice(0, MAX_DIFFERENCES)
}

function compareStep(
  { input, output, ...plain }: NonNullable<Expectation['steps']>[string],
  found: StepRunRow | undefined,
  path: string[],
  differences: Difference[],
): void {
  if (!found) {
    // what has not ended is no step run
    if (plain.status !== 'PENDING') differences.push({ path, message: 'it did not end' })
    return
  }
  if (input !== undefined) compareWhole(input, found.input ?? null, [...path, 'input'], differences)
  if (output !== undefined) compareWhole(output, found.output ?? null, [...path, 'output'], differences)
  compareParts(plain, found as unknown as Json, path, differences)
}

/** Events in this order, whatever happens between; and those that do not happen. */
function compareEvents(events: readonly string[], never: readonly string[], found: Simulation, differences: Difference[]): void {
  const happened = found.events.map(({ type, path }) => ({ type, said: path === undefined ? type : `${type} ${path}` }))
  const isIt = (wanted: string) => (event: (typeof happened)[number]) => event.type === wanted || event.said === wanted
  let from = 0
  for (const [place, wanted] of events.entries()) {
    const at = happened.slice(from).findIndex(isIt(wanted))
    if (at >= 0) from += at + 1
    else {
      const behind = from === 0 ? 'it did not happen' : `it did not happen after "${happened[from - 1]!.said}" (event ${from})`
      differences.push({ path: ['events', String(place)], message: `expected "${wanted}": ${behind}` })
    }
  }
  for (const [place, unwanted] of never.entries()) {
    const at = happened.findIndex(isIt(unwanted))
    if (at >= 0) differences.push({ path: ['noEvents', String(place)], message: `"${unwanted}" happened (event ${at + 1})` })
  }
}

/** The fields that are expected; what more is found does not matter. */
function compareParts(expected: Json, found: Json | undefined, path: string[], differences: Difference[]): void {
  if (!isObject(expected) || !isObject(found)) return compareWhole(expected, found ?? null, path, differences)
  for (const [key, value] of Object.entries(expected)) compareParts(value, found[key], [...path, key], differences)
}

/** Exactly this value. */
function compareWhole(expected: Json, found: Json, path: string[], differences: Difference[]): void {
  if (Array.isArray(expected) && Array.isArray(found)) {
    if (expected.length !== found.length)
      differences.push({ path, message: `expected ${expected.length} items, found ${found.length}` })
    expected.slice(0, found.length).forEach((item, at) => compareWhole(item, found[at]!, [...path, String(at)], differences))
  } else if (isObject(expected) && isObject(found)) {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(found)])) {
      const inner = [...path, key]
      if (!Object.hasOwn(found, key))
        differences.push({ path: inner, message: `expected ${shown(expected[key]!)}, it is not there` })
      else if (!Object.hasOwn(expected, key))
        differences.push({ path: inner, message: `found ${shown(found[key]!)}, which is not expected` })
      else compareWhole(expected[key]!, found[key]!, inner, differences)
    }
  } else if (expected !== found) differences.push({ path, message: `expected ${shown(expected)}, found ${shown(found)}` })
}

const isObject = (value: Json | undefined): value is { [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function shown(value: Json): string {
  const text = JSON.stringify(value)
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN).toWellFormed()}...`
}
