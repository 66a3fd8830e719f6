/** How long a valid definition may take, and what it may cost, when everything goes as badly as its bounds allow. */
import type { Definition } from './definition.ts'
import { predecessors } from './graph.ts'
import { sourceOf, type PlacesRead } from './lint-wiring.ts'
import type { ProgramStep } from './program.ts'
import { followSchema, typesOf } from './schema-paths.ts'
import { MAX_ITEMS } from './steps/map.ts'
import type { StepBody } from './steps/step-language.ts'
import type { StepSpec } from './steps/step-types.ts'
import type { RetryPolicy } from './values.ts'

export interface WorstCase {
  /** ms until its end, what is undone then not counted; its timeout at the most */
  readonly durationMs: number
  /** tokens, with all attempts, what is undone counted too */
  readonly cost: number
}

/** A list that a map goes over, whose schema is known. */
export interface MapWidth {
  /** of the expression in the definition */
  readonly path: readonly string[]
  readonly place: readonly string[]
  /** Infinity: its schema does not say */
  readonly most: number
}

export interface Bounds {
  /** by the step's name */
  readonly widths: ReadonlyMap<string, MapWidth>
  /** steps that wait as long as the flow may */
  readonly endless: readonly string[]
  /** ms, without those */
  readonly durationMs: number
  readonly cost: number
}

export function boundsOf(definition: Definition, steps: readonly ProgramStep[], places: readonly PlacesRead[]): Bounds {
  const widths = widthsOf(definition, places)
  const widthOf = (name: string): number => Math.min(widths.get(name)?.most ?? MAX_ITEMS, MAX_ITEMS)
  const endless: string[] = []
  const ends = new Map<string, number>()
  for (const step of steps) {
    const began = [...predecessors(step.needs), ...(step.needs.failures ?? [])].map((name) => ends.get(name) ?? 0)
    const own = definition.steps[step.name]
    // a child has bounds of its own, which are not known here
    const takes = own?.type === 'flow' && !own.timeout ? 0 : longest(step, widthOf(step.name))
    if (takes === Number.POSITIVE_INFINITY) endless.push(step.name)
    ends.set(step.name, Math.max(0, ...began) + (takes === Number.POSITIVE_INFINITY ? 0 : takes))
  }
  return { widths, endless, durationMs: Math.max(0, ...ends.values()), cost: costOf(steps, widthOf) }
}

export const worstCaseOf = ({ endless, durationMs, cost }: Bounds, timeoutMs: number): WorstCase => ({
  durationMs: endless.length > 0 ? timeoutMs : Math.min(durationMs, timeoutMs),
  cost,
})

function widthsOf(definition: Definition, places: readonly PlacesRead[]): Map<string, MapWidth> {
  const widths = new Map<string, MapWidth>()
  for (const [name, step] of Object.entries(definition.steps)) {
    if (step.type === 'map' && typeof step.over !== 'string')
      widths.set(name, { path: ['steps', name, 'over'], place: [], most: step.over.length })
  }
  for (const { path, places: read, copies } of places) {
    const [, name] = path
    if (!copies || path.length !== 3 || path[2] !== 'over' || definition.steps[name!]?.type !== 'map') continue
    const most = mostItems(definition, read[0]!)
    if (most !== undefined) widths.set(name!, { path, place: read[0]!, most })
  }
  return widths
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

/** A router takes one route: of the steps that stand behind its routes, those of the costliest count. */
function costOf(steps: readonly ProgramStep[], widthOf: (name: string) => number): number {
  const behind = new Map<string, { router: string; route: string }>()
  const costs = new Map<string, Map<string, number>>()
  let always = 0
  for (const { name, needs, compensate, ...step } of steps) {
    const cost = costliest(step, widthOf(name)) + (compensate ? costliest(compensate, MAX_ITEMS) : 0)
    const inherited = needs.mode === 'all' ? needs.of.map((one) => behind.get(one)).find(Boolean) : undefined
    const gate = inherited ?? routerBehind(needs.routes, behind) ?? needs.routes[0]
    if (gate) behind.set(name, gate)
    if (!gate) always += cost
    else {
      const routes = costs.get(gate.router) ?? new Map<string, number>()
      costs.set(gate.router, routes.set(gate.route, (routes.get(gate.route) ?? 0) + cost))
    }
  }
  for (const routes of costs.values()) always += Math.max(...routes.values())
  return always
}

/** A router that itself runs on one route of another stands behind that one. */
const routerBehind = (routes: ProgramStep['needs']['routes'], behind: ReadonlyMap<string, { router: string; route: string }>) =>
  routes.map(({ router }) => behind.get(router)).find(Boolean)

/** Tokens that a step can cost with all its attempts. */
function costliest({ spec, retry, cost = 0 }: StepBody, width: number): number {
  const of = spec as StepSpec
  if (of.type === 'map') return width * costliest(of.step, MAX_ITEMS)
  if (of.type === 'loop') return of.times * costliest(of.step, MAX_ITEMS)
  return cost * retry.attempts
}
