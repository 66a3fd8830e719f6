/** What an execution has under way: steps that run, and steps that wait. Kept in `executions.in_flight`, bounded by the steps of the flow. */
import type { Json } from '../language/program.ts'

interface Common {
  path: string
  /** from 1; a retry has the next number, a takeover keeps it */
  attempt: number
  /** ms since 1970, database time */
  startedAt: number
  /** when its first attempt began, where `retry.within` counts from there */
  firstAt?: number
}

/** A handler that runs, or is to be run by whoever holds the execution. */
export interface ActEntry extends Common {
  kind: 'act'
  /** the claim that launched it; 0 = nobody has launched it yet */
  epoch: number
  /** takeovers while it was in flight; 1 or more makes it a suspect */
  crashes?: number
  /** it runs alone on its worker, and crashed so often while alone */
  alone?: boolean
  aloneCrashes?: number
}

/** A question that waits for an agent or a person. */
export interface AgentEntry extends Common {
  kind: 'agent'
  requestId: string
  dueAt: number
}

/** A `wait` step, or the pause before the next attempt of a failed one (`attempt` is then the next). */
export interface TimerEntry extends Common {
  kind: 'wait' | 'backoff'
  dueAt: number
  /** of a `wait`: its timeout is over then, and not what it waits for */
  expires?: true
}

/** A step that waits for signals: so many of these names. */
export interface SignalEntry extends Common {
  kind: 'signal'
  signals: readonly string[]
  need: number
  dueAt: number
}

/** What a person decided; `for`: whose vote it is, when it was handed to them. */
export interface Vote {
  /** UUIDs of users */
  by: string
  for?: string
  decision: 'APPROVE' | 'REJECT'
  data: Json
  at: number
}

/** A question that waits for the votes of people; what has come of them so far. */
export interface ApprovalEntry extends Common {
  kind: 'approval'
  requestId: string
  dueAt: number
  dataHash: string
  quorum: number
  rejects: number
  selfApproval: boolean
  votes: readonly Vote[]
  /** UUIDs of users: whose vote is whose */
  delegations: readonly { from: string; to: string }[]
}

export type InFlight = ActEntry | AgentEntry | TimerEntry | SignalEntry | ApprovalEntry
