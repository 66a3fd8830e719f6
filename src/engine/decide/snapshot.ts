/** Everything that `decide` knows of an execution: a value, never changed. */
import type { Program } from '../../language/program.ts'
import type { Json, JsonObject, StepFailure } from '../../language/values.ts'
import type { ExecutionError } from '../entities/execution.ts'
import type { InFlight } from '../in-flight.ts'
import type { EndedStepStatus, ExecutionStatus, UnhappyStatus } from '../states.ts'

/** A step that has ended. */
export interface StepRecord {
  status: EndedStepStatus
  attempt: number
  /** present when it succeeded */
  output?: Json
  route?: string
  /** present when it failed */
  error?: StepFailure
  /** ms; present when it succeeded */
  endedAt?: number
  /** UUID of the execution in which it ran, when this one uses again what came of it there */
  reusedFrom?: string
}

/** What an execution is for those who asked for what it goes on with. */
export interface Origin {
  /** a readable id: the execution that it tries again */
  retryOf?: string
  /** why, for people */
  reason?: string
  /** the step to begin with, when one was named */
  from?: string
  /** UUIDs of those who started the executions that it goes on with: none of them approves what it asks */
  initiators: readonly string[]
}

/** A signal that came and that no step has taken yet. */
export interface BufferedSignal {
  /** of its event: the order in which they came */
  readonly seq: number
  readonly name: string
  readonly data: Json
  readonly bytes: number
  /** a readable id */
  readonly sentBy: string
  readonly at: number
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
  /** the higher is claimed first; absent: 0 */
  readonly priority?: number
  readonly deadlineAt: number | null
  readonly cancelReason: string | null
  readonly pauseReason: string | null
  /** how it will end, while it undoes what it did; `reason` and `error` are set then */
  readonly ending: UnhappyStatus | null
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
  /** that came and that no step has taken, in the order in which they came; absent: none */
  readonly signals?: readonly BufferedSignal[]
  /** ids of the signals that came last, taken or not */
  readonly knownSignals?: readonly string[]
  /** of a retry, and of what a retry starts */
  readonly origin?: Origin | null
  /** the execution whose `flow` step started it */
  readonly parentId?: string | null
  /** of the slot that it holds or waits for; absent: its flow has no `concurrency` */
  readonly slotKey?: string | null
  /** what its attempts took, as its definition says; absent: nothing */
  readonly tokens?: number
  /** see `Draft.lists`: not stored */
  readonly lists?: ReadonlyMap<string, readonly Json[]>
}

/** When whoever waits for a slot wakes by itself: not in our time. It is woken by the statement that hands it one. */
export const NEVER_MS = Date.UTC(9999, 11, 31)

/** How many steps of the definition ended how. */
export function countSteps(snapshot: Snapshot): { succeeded: number; failed: number; skipped: number } {
  const counts = { succeeded: 0, failed: 0, skipped: 0 }
  for (const [path, step] of snapshot.steps) {
    if (!snapshot.program.step(path)) continue
    if (step.status === 'SUCCEEDED') counts.succeeded++
    else if (step.status === 'FAILED') counts.failed++
    else if (step.status === 'SKIPPED') counts.skipped++
  }
  return counts
}
