/**
 * `map`: the step inside for each item of a list, so many at once. The snapshot knows how far it is and what is under way, never
 * the outputs: they are read when all items have ended, by the act that the map then becomes.
 */
import { MAX_ITEMS } from '../../language/steps/map.ts'
import type { MapSpec } from '../../language/steps/map.ts'
import { MAX_STATE_BYTES } from '../../language/payload.ts'
import type { Evaluated, Json } from '../../language/values.ts'
import { shareWork } from '../../language/budget.ts'
import type { Draft } from '../decide/draft.ts'
import { removeInFlight, replaceInFlight } from '../decide/draft.ts'
import { keepList, listOf, scopeOf } from '../decide/scope.ts'
import { fail, succeed } from '../decide/end-step.ts'
import { leave } from '../decide/nested.ts'
import { runInside } from '../decide/run.ts'
import type { Run } from '../decide/run.ts'
import { countsOf } from '../in-flight.ts'
import type { ActEntry, ItemCounts, MapEntry } from '../in-flight.ts'
import { launch } from './act.ts'

/** Begins a step run inside of this one; false: this transition has done enough. */
export type Go = (run: Run) => boolean

export function beginMap(draft: Draft, run: Run, spec: MapSpec, attempt: number): void {
  const startedAt = draft.lastEventAt
  const list = readList(spec.over.evaluate(scopeOf(draft, run)))
  if (typeof list === 'string') return fail(draft, run, { attempt, startedAt }, 'EXPRESSION_FAILED', `over: ${list}`)
  keepList(draft, run.path, list)
  draft.inFlight.push({
    ...{ kind: 'map', path: run.path, attempt, startedAt, ...dueAfter(draft, run) },
    ...{ total: list.length, next: 0, succeeded: 0, failed: 0, skipped: 0, bytes: 0 },
  })
}

/** A text: what is wrong with it. */
function readList(made: Evaluated<Json>): readonly Json[] | string {
  if (!made.ok) return made.message
  if (!Array.isArray(made.value)) return 'it is not a list'
  const { length } = made.value
  return length > MAX_ITEMS ? `it has ${length} items; the limit is ${MAX_ITEMS}` : made.value
}

export const dueAfter = (draft: Draft, { step }: Run): { dueAt?: number } =>
  step.timeoutMs === undefined ? {} : { dueAt: draft.world.now + step.timeoutMs }

const endedOf = ({ succeeded, failed, skipped }: ItemCounts): number => succeeded + failed + skipped

/** As far as it can go now; true: something changed. */
export function advanceMap(draft: Draft, run: Run, spec: MapSpec, entry: MapEntry, go: Go): boolean {
  const wrong = whyFailed(draft, run, spec, entry)
  if (wrong) fail(draft, run, entry, wrong.code, wrong.message, { retryable: false })
  else if (endedOf(entry) === entry.total) join(draft, run, spec, entry)
  else return beginItems(draft, run, spec, entry, go)
  return true
}

function beginItems(draft: Draft, run: Run, spec: MapSpec, entry: MapEntry, go: Go): boolean {
  let now = entry
  while (now.next < now.total && hasRoom(draft, spec, now)) {
    replaceInFlight(draft, { ...now, next: now.next + 1 })
    const goOn = go(runInside(run, now.next)!)
    now = draft.inFlight.find(({ path }) => path === run.path) as MapEntry
    if (!goOn || whyFailed(draft, run, spec, now)) break
  }
  return now !== entry
}

/** Of step runs under way in one execution, whatever maps lie in each other: they are stored with it again and again. */
const MOST_IN_FLIGHT = 1_000

/** Each map may always have one: none waits for room that others inside of it would have to make. */
function hasRoom(draft: Draft, { parallel }: MapSpec, entry: MapEntry): boolean {
  const running = entry.next - endedOf(entry)
  return running === 0 || (running < parallel && draft.inFlight.length < MOST_IN_FLIGHT)
}

function whyFailed(draft: Draft, run: Run, spec: MapSpec, entry: MapEntry): { code: string; message: string } | undefined {
  const { failed, total, bytes, error } = entry
  const tolerated = toleratedOf(spec, total)
  if (failed > tolerated) {
    return { code: 'ITEM_FAILED', message: `${failed} of ${total} items failed. ${error?.code}: ${error?.message}` }
  }
  if (draft.stateBytes + bytes > MAX_STATE_BYTES) {
    const message = `With the outputs of the items the state would be over ${MAX_STATE_BYTES} bytes.`
    return { code: 'STATE_TOO_LARGE', message }
  }
  if (entry.next < total && listOf(draft, run)?.length !== total)
    return { code: 'EXPRESSION_FAILED', message: 'over: it is not the list that the map began with' }
  return undefined
}

/** Items that say themselves that the map goes on are all tolerated. */
function toleratedOf({ tolerate, step }: MapSpec, total: number): number {
  if (step.onError) return total
  return 'count' in tolerate ? tolerate.count : Math.floor(tolerate.share * total)
}

function join(draft: Draft, run: Run, spec: MapSpec, entry: MapEntry): void {
  const { path, attempt, startedAt } = entry
  const counts = countsOf(entry)
  if (counts.total === 0) return succeed(draft, run, entry, { items: [], failed: [], counts: { ...counts } })
  removeInFlight(draft, path)
  leave(draft, entry)
  const act: ActEntry = { kind: 'act', path, attempt, startedAt, epoch: 0, counts }
  draft.inFlight.push(act)
  shareWork(() => launch(draft, run, spec, act))
}
