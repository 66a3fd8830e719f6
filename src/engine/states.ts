/**
 * The states of executions, step runs and agent requests, and which may follow which (E6).
 *
 *   PENDING ──► RUNNING ◄──► WAITING        every state that has not ended may go to
 *      │          │  ▲          │           FAILED, CANCELED, TIMED_OUT; an ended one
 *      └──► PAUSED ◄─┴──────────┘           goes nowhere (a retry is a new execution)
 *                 └──► SUCCEEDED
 *
 * The database holds the same table as a trigger (migrations/003-engine.ts); a test compares the two.
 */
export const EXECUTION_STATUSES = [
  'PENDING',
  'RUNNING',
  'WAITING',
  'PAUSED',
  'SUCCEEDED',
  'FAILED',
  'CANCELED',
  'TIMED_OUT',
] as const
export type ExecutionStatus = (typeof EXECUTION_STATUSES)[number]

export const ENDED = ['SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT'] as const satisfies readonly ExecutionStatus[]
export type EndedStatus = (typeof ENDED)[number]
/** How an execution can end badly: what succeeded is undone then, if the flow says how. */
export type UnhappyStatus = Exclude<EndedStatus, 'SUCCEEDED'>
export const hasEnded = (status: ExecutionStatus): status is EndedStatus => (ENDED as readonly string[]).includes(status)

export const UNHAPPY = ['FAILED', 'CANCELED', 'TIMED_OUT'] as const satisfies readonly UnhappyStatus[]
export const EXECUTION_TRANSITIONS: Record<ExecutionStatus, readonly ExecutionStatus[]> = {
  PENDING: ['RUNNING', 'PAUSED', ...UNHAPPY],
  RUNNING: ['WAITING', 'PAUSED', 'SUCCEEDED', ...UNHAPPY],
  WAITING: ['RUNNING', 'PAUSED', 'SUCCEEDED', ...UNHAPPY],
  PAUSED: ['PENDING', 'RUNNING', 'WAITING', 'SUCCEEDED', ...UNHAPPY],
  SUCCEEDED: [],
  FAILED: [],
  CANCELED: [],
  TIMED_OUT: [],
}

/** PENDING, RUNNING and WAITING are derived while an execution runs; the others are recorded when a step run ends. */
export const STEP_STATUSES = ['PENDING', 'RUNNING', 'WAITING', 'SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED'] as const
export type StepStatus = (typeof STEP_STATUSES)[number]
export type EndedStepStatus = 'SUCCEEDED' | 'FAILED' | 'SKIPPED' | 'CANCELED'

export const AGENT_REQUEST_STATUSES = ['OPEN', 'ANSWERED', 'EXPIRED', 'CANCELED', 'DELIVERED'] as const
/** OPEN asks; ANSWERED, EXPIRED and CANCELED have ended; DELIVERED is a notice, which wants no answer. */
export type AgentRequestStatus = (typeof AGENT_REQUEST_STATUSES)[number]

export const AGENT_DECISIONS = ['APPROVE', 'REJECT', 'ANSWER'] as const
export type AgentDecision = (typeof AGENT_DECISIONS)[number]

export const EVENT_TYPES = [
  'execution.started',
  'execution.waiting',
  'execution.paused',
  'execution.resumed',
  'execution.migrated',
  'execution.cancelRequested',
  'compensation.started',
  'compensation.finished',
  'execution.succeeded',
  'execution.failed',
  'execution.canceled',
  'execution.timedOut',
  'step.started',
  'step.claimed',
  'step.restarted',
  'step.isolated',
  'step.succeeded',
  'step.failed',
  'step.skipped',
  'step.reused',
  'step.canceled',
  'step.retrying',
  'step.late',
  'step.progress',
  'step.log',
  'child.started',
  'route.taken',
  'agent.asked',
  'agent.notified',
  'agent.answered',
  'agent.expired',
  'signal.received',
  'signal.expired',
  'approval.asked',
  'approval.voted',
  'approval.delegated',
  'approval.expired',
] as const
export type EventType = (typeof EVENT_TYPES)[number]
