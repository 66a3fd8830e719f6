/** What an execution has under way: steps that run, and steps that wait. Kept in `executions.in_flight`, bounded by the steps of the flow. */

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

export type InFlight = ActEntry | AgentEntry | TimerEntry
