/** A step that is over, however it ended: its row, and what cancelling leaves of one. */
import type { Json } from '../../language/program.ts'
import type { InFlight } from '../in-flight.ts'
import type { Draft } from './draft.ts'
import { emitOf, removeInFlight } from './draft.ts'
import type { Run } from './run.ts'

export interface Ending {
  attempt: number
  startedAt: number | null
  firstAt?: number
  input?: Json
}

/** What was under way is over without a result, because its execution ends or its wait is not wanted any more. */
export function cancelStep(draft: Draft, run: Run, entry: InFlight): void {
  removeInFlight(draft, entry.path)
  if (entry.kind === 'agent' || entry.kind === 'approval') draft.closedAsks.push({ id: entry.requestId, status: 'CANCELED' })
  if (entry.kind === 'act' && entry.epoch !== 0) draft.aborts.push({ path: entry.path, attempt: entry.attempt })
  draft.steps.set(run.path, { status: 'CANCELED', attempt: entry.attempt })
  record(draft, run, entry, { status: 'CANCELED' })
  emitOf(draft, run, 'step.canceled', { attempt: entry.attempt })
}

/** The step run, stored once, when it ends. */
export function record(
  draft: Draft,
  { path, step }: Run,
  ending: Ending,
  result: Pick<Draft['stepRuns'][number], 'status' | 'output' | 'route' | 'error'>,
): void {
  draft.stepRuns.push({
    ...{ path, name: step.name, type: step.spec.type },
    ...{ attempt: ending.attempt, startedAt: ending.startedAt, finishedAt: Math.max(draft.world.now, draft.lastEventAt) },
    ...(ending.input === undefined ? {} : { input: ending.input }),
    ...result,
  })
}
