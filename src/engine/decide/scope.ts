/** What expressions see of an execution at a moment, and what templates come to. */
import type { Evaluated, Json, Scope, Template } from '../../language/values.ts'
import type { LoopEntry } from '../in-flight.ts'
import type { Draft } from './draft.ts'
import type { Run } from './run.ts'

/** What a template comes to at this moment; a constant needs no look at it. */
export const evaluate = (template: Template, draft: Draft, run?: Run): Evaluated<Json> =>
  template.evaluate(template.reads ? scopeOf(draft, run) : NOTHING)

const NOTHING: Scope = { input: {}, steps: {}, execution: { id: '', startedAt: '' } }

/** What the expressions of this moment see; those of a step run may see more than those of the flow. */
export function scopeOf(draft: Draft, run?: Run): Scope {
  const steps: Scope['steps'] = {}
  for (const { name } of draft.from.program.steps) {
    const ended = draft.steps.get(name)
    if (!ended) steps[name] = { status: draft.inFlight.some(({ path }) => path === name) ? 'RUNNING' : 'PENDING' }
    else {
      steps[name] = { status: ended.status }
      if (ended.output !== undefined) steps[name].output = ended.output
      if (ended.route !== undefined) steps[name].route = ended.route
      if (ended.error) steps[name].error = ended.error
    }
  }
  return {
    input: draft.from.input,
    steps,
    execution: {
      id: draft.from.id,
      startedAt: new Date(draft.startedAt ?? draft.world.now).toISOString(),
      ...(draft.ending !== null && { error: draft.error ?? { code: draft.ending, message: draft.reason ?? '' } }),
    },
    ...(run && placeOf(draft, run)),
  }
}

/** Where a step run is inside of maps and loops: the innermost of each. */
function placeOf(draft: Draft, { within, index = 0 }: Run): Pick<Scope, 'item' | 'index' | 'iteration' | 'last'> | undefined {
  if (!within) return undefined
  const outer = placeOf(draft, within)
  if (within.step.spec.type === 'map') return { ...outer, item: listOf(draft, within)?.[index] ?? null, index: BigInt(index) }
  const entry = draft.inFlight.find(({ path }) => path === within.path)
  return { ...outer, iteration: BigInt(index), last: entry?.kind === 'loop' ? lastOf(draft, entry) : null }
}

/** The output of the last iteration that had one. */
export const lastOf = (draft: Draft, { last }: LoopEntry): Json =>
  last === undefined ? null : (draft.steps.get(last)?.output ?? null)

/** What a map that is under way goes over; undefined: it cannot be made again. */
export function listOf(draft: Draft, run: Run): readonly Json[] | undefined {
  const known = draft.lists.get(run.path)
  const { spec } = run.step
  if (known || spec.type !== 'map') return known
  const made = spec.over.evaluate(scopeOf(draft, run))
  if (!made.ok || !Array.isArray(made.value)) return undefined
  keepList(draft, run.path, made.value)
  return made.value
}

/** Without a list: the map has ended. */
export function keepList(draft: Draft, path: string, list?: readonly Json[]): void {
  const lists = new Map(draft.lists)
  if (list) lists.set(path, list)
  else lists.delete(path)
  draft.lists = lists
}
