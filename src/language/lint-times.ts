/** Warnings about how long a flow may take, and how wide it may get, when everything goes as badly as its bounds allow. */
import type { Definition } from './definition.ts'
import { formatDuration } from './duration.ts'
import { predecessors } from './graph.ts'
import type { IssueList } from './issue-list.ts'
import { sourceOf, type PlacesRead } from './lint-wiring.ts'
import type { ProgramStep } from './program.ts'
import type { StepSpec } from './steps/step-types.ts'
import type { RetryPolicy } from './values.ts'
import { followSchema, typesOf } from './schema-paths.ts'
import { MAX_ITEMS } from './steps/map.ts'
import type { StepBody } from './steps/step-language.ts'

/** What is known of a valid definition. */
interface Read {
  readonly steps: readonly ProgramStep[]
  readonly places: readonly PlacesRead[]
  readonly timeoutMs: number
}

export function warnAboutBounds(definition: Definition, { steps, places, timeoutMs }: Read, warnings: IssueList): void {
  const widths = new Map<string, number>()
  for (const { path, places: read, copies } of places) {
    const [, name] = path
    if (!copies || path.length !== 3 || path[2] !== 'over' || definition.steps[name!]?.type !== 'map') continue
    const most = mostItems(definition, read[0]!)
    if (most === undefined) continue
    widths.set(name!, Math.min(most, MAX_ITEMS))
    if (most === Number.POSITIVE_INFINITY)
      warnings.add('UNBOUNDED', path, `${read[0]!.join('.')} may have ${MAX_ITEMS} items`, 'say "maxItems" in its schema')
  }
  const ends = new Map<string, number>()
  for (const step of steps) {
    const began = [...predecessors(step.needs), ...(step.needs.failures ?? [])].map((name) => ends.get(name) ?? 0)
    const own = definition.steps[step.name]
    // a child has bounds of its own, which are not known here
    const takes = own?.type === 'flow' && !own.timeout ? 0 : longest(step, widths.get(step.name) ?? MAX_ITEMS)
    if (takes === Number.POSITIVE_INFINITY)
      warnings.add(
        'UNBOUNDED',
        ['steps', step.name],
        `it waits as long as the flow may: ${formatDuration(timeoutMs)}`,
        'give it a "timeout"',
      )
    ends.set(step.name, Math.max(0, ...began) + (takes === Number.POSITIVE_INFINITY ? 0 : takes))
  }
  const worst = Math.max(0, ...ends.values())
  if (worst > timeoutMs) {
    const message = `its steps may take ${formatDuration(worst)} in the worst case; it ends after ${formatDuration(timeoutMs)}`
    warnings.add('TOO_SHORT', ['timeout'], message)
  }
}

/** Infinity: its schema does not say; undefined: there is none. */
function mostItems(definition: Definition, place: readonly string[]): number | undefined {
  const source = sourceOf(definition, place)
  const found = source && followSchema(source.schema, source.rest)
  if (found?.kind !== 'schema' || !typesOf(found.schema)?.includes('array')) return undefined
  const { maxItems } = found.schema
  return typeof maxItems === 'number' ? maxItems : Number.POSITIVE_INFINITY
}

/** ms that a step can take with all its attempts; Infinity: only the flow's timeout ends it. */
function longest({ spec, timeoutMs, retry }: StepBody, width: number): number {
  const of = spec as StepSpec
  const most = timeoutMs ?? Number.POSITIVE_INFINITY
  switch (of.type) {
    case 'transform':
    case 'route':
    case 'notify':
    case 'fail':
      return 0
    case 'wait':
      return Math.min(of.durationMs ?? Number.POSITIVE_INFINITY, most)
    case 'map':
      return Math.min(most, Math.ceil(width / of.parallel) * longest(of.step, MAX_ITEMS))
    case 'loop':
      return Math.min(most, of.times * (longest(of.step, MAX_ITEMS) + of.delayMs))
    default:
      return most * retry.attempts + delays(retry)
  }
}

function delays({ attempts, firstDelayMs, factor, maxDelayMs, jitter }: RetryPolicy): number {
  let sum = 0
  for (let i = 0; i < attempts - 1; i++) sum += Math.min(firstDelayMs * factor ** i, maxDelayMs) * (1 + jitter)
  return Math.round(sum)
}
