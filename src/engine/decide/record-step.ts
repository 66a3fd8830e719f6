/** A step that is over, however it ended: its row, and what cancelling leaves of one. */
import type { Json, ProgramStep } from '../../language/program.ts'
import type { InFlight } from '../in-flight.ts'
import type { Draft } from './draft.ts'
import { emit, removeInFlight } from './draft.ts'

export interface Ending {
  attempt: number
  startedAt: number | null
  input?: Json
}

/** What was under way is over without a result, because its execution ends or its wait is not wanted any more. */
export function cancelStep(draft: Draft, step: ProgramStep, entry: InFlight): void {
  removeInFlight(draft, entry.path)
  if (entry.kind === 'agent') draft.closedAsks.push({ id: entry.requestId, status: 'CANCELED' })
  if (entry.kind === 'act' && entry.epoch !== 0) draft.aborts.push({ path: entry.path, attempt: entry.attempt })
  draft.steps.set(step.name, { status: 'CANCELED', attempt: entry.attempt })
  record(draft, step, entry, { status: 'CANCELED' })
  emit(draft, 'step.canceled', { step: step.name, path: entry.path, attempt: entry.attempt })
}

/** The step run, stored once, when it ends. */
export function record(
  draft: Draft,
  step: ProgramStep,
  ending: Ending,
  result: Pick<Draft['stepRuns'][number], 'status' | 'output' | 'route' | 'error'>,
): void {
  draft.stepRuns.push({
    ...{ path: step.name, name: step.name, type: step.spec.type },
    ...{ attempt: ending.attempt, startedAt: ending.startedAt, finishedAt: Math.max(draft.world.now, draft.lastEventAt) },
    ...(ending.input === undefined ? {} : { input: ending.input }),
    ...result,
  })
}
