/** A step that is over, however it ended: its row, and what cancelling leaves of one. */
import type { Json } from '../../language/values.ts'
import { countsOf, isAttempt, isComposite } from '../in-flight.ts'
import type { AttemptEntry, CompositeEntry, InFlight } from '../in-flight.ts'
import type { Abort, Draft, StepRunRow } from './draft.ts'
import { emitOf, removeInFlight } from './draft.ts'
import { leave, pathsInside } from './nested.ts'
import { runAt } from './run.ts'
import type { Run } from './run.ts'

export interface Ending {
  attempt: number
  startedAt: number | null
  firstAt?: number
  input?: Json
}

/** What was under way is over without a result, because its execution ends or its wait is not wanted any more. */
export function cancelStep(draft: Draft, run: Run, entry: InFlight): void {
  takeOut(draft, run)
  if (entry.kind === 'agent' || entry.kind === 'approval') draft.closedAsks.push({ id: entry.requestId, status: 'CANCELED' })
  if (isAttempt(entry) && entry.epoch !== 0) draft.aborts.push(abortOf(entry))
  if ('childId' in entry) tellChild(draft, entry, 'The step that started it was canceled.')
  if (!run.within) draft.steps.set(run.path, { status: 'CANCELED', attempt: entry.attempt })
  record(draft, run, entry, { status: 'CANCELED' })
  emitOf(draft, run, 'step.canceled', { attempt: entry.attempt })
}

/** A worker of a pool hears of it by the bus. */
export const abortOf = (entry: AttemptEntry): Abort => ({
  ...{ path: entry.path, attempt: entry.attempt },
  ...(entry.kind === 'pooled' && entry.worker !== undefined && { worker: entry.worker }),
})

/** Of a map and of a loop it says how far they came. */
function inputOf(ending: Ending): Json | undefined {
  if (ending.input !== undefined) return ending.input
  const entry = ending as Partial<InFlight>
  return isComposite(entry as InFlight) ? { ...countsOf(entry as CompositeEntry) } : undefined
}

/** It is not in flight any more, nor is anything inside of it. */
export function takeOut(draft: Draft, { path }: Run): void {
  const entry = draft.inFlight.find((other) => other.path === path)
  removeInFlight(draft, path)
  // one that was about to be launched is not
  const launch = draft.launches.findIndex((other) => other.entry.path === path)
  if (launch >= 0) draft.launches.splice(launch, 1)
  if (!entry || !isComposite(entry)) return
  for (const inside of pathsInside(draft, path)) {
    const inner = draft.inFlight.find((other) => other.path === inside)
    const run = inner && runAt(draft.from.program, inside)
    if (run) cancelStep(draft, run, inner)
  }
  leave(draft, entry)
}

/** Also a child that may not be there yet: the word waits for it. */
export function tellChild(draft: Draft, { childId }: { childId?: string }, reason: string): void {
  if (childId === undefined) return
  draft.words.push({ executionId: childId, key: `cancel/${draft.from.id}`, kind: 'cancel', body: { reason } })
}

/** The step run, stored once, when it ends. */
export function record(
  draft: Draft,
  { path, step }: Run,
  ending: Ending,
  result: Pick<StepRunRow, 'status' | 'output' | 'route' | 'error'>,
): void {
  const { attempt, startedAt } = ending
  const finishedAt = Math.max(draft.world.now, draft.lastEventAt)
  const row: StepRunRow = { path, name: step.name, type: step.spec.type, status: result.status, attempt, startedAt, finishedAt }
  const input = inputOf(ending)
  if (input !== undefined) row.input = input
  if (result.output !== undefined) row.output = result.output
  if (result.route !== undefined) row.route = result.route
  if (result.error) row.error = result.error
  draft.stepRuns.push(row)
}
