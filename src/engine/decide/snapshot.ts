/** Everything that `decide` knows of an execution: a value, never changed. */
import type { JsonObject, Json, Program } from '../../language/program.ts'
import type { ExecutionError } from '../entities/execution.ts'
import type { InFlight } from '../in-flight.ts'
import type { EndedStepStatus, ExecutionStatus } from '../states.ts'

/** A step that has ended. */
export interface StepRecord {
  status: EndedStepStatus
  attempt: number
  /** present when it succeeded */
  output?: Json
  route?: string
}

/** Times are ms since 1970, database time. */
export interface Snapshot {
  readonly id: string
  readonly flowId: string
  readonly flowVersionId: string
  readonly initiatorId: string
  readonly program: Program
  readonly input: JsonObject
  readonly status: ExecutionStatus
  /** 0 = not stored yet */
  readonly version: number
  readonly epoch: number
  /** the worker that holds it */
  readonly owner: string | null
  readonly wakeAt: number | null
  readonly deadlineAt: number | null
  readonly cancelReason: string | null
  readonly pauseReason: string | null
  readonly seq: number
  readonly lastEventAt: number
  readonly stateBytes: number
  readonly createdAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
  readonly reason: string | null
  readonly error: ExecutionError | null
  readonly steps: ReadonlyMap<string, StepRecord>
  readonly inFlight: readonly InFlight[]
}

/** How many steps ended how. */
export function countSteps(snapshot: Snapshot): { succeeded: number; failed: number; skipped: number } {
  const counts = { succeeded: 0, failed: 0, skipped: 0 }
  for (const step of snapshot.steps.values()) {
    if (step.status === 'SUCCEEDED') counts.succeeded++
    else if (step.status === 'FAILED') counts.failed++
    else if (step.status === 'SKIPPED') counts.skipped++
  }
  return counts
}
