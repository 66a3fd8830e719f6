/** The engine as the rooms above see it: start, cancel, answer, pause, resume, wait for the end. It knows no users, only ids. */
import type { AuditEntry } from '../audit/audit-entry.ts'
import type { Problem } from '../errors.ts'
import type { Program } from '../language/program.ts'
import type { Json, JsonObject } from '../language/values.ts'
import type { MigrationObstacle } from './decide/migrate.ts'
import type { PlannedStep, RetryWish } from './decide/plan-retry.ts'
import type { StepRecord } from './decide/snapshot.ts'
import type { MasksOf } from './masks.ts'
import type { StartRates } from './start-rates.ts'
import type { AgentDecision } from './states.ts'

/** The same key with the same input hash gives the first call's result; with another hash IDEMPOTENCY_MISMATCH. */
export interface Idempotency {
  principalId: string
  key: string
  /** SHA-256 of everything that makes two calls the same call */
  inputHash: Buffer
}

export interface StartOrder {
  /** UUID; a new one unless given */
  id?: string
  flowId: string
  flowVersionId: string
  program: Program
  input: JsonObject
  /** compact JSON of `input`, from `checkPayload` */
  inputText: string
  initiatorId: string
  /** at most this many non-terminal root executions of the initiator (A8) */
  runningLimit: number
  priority?: number
  labels?: Record<string, string>
  /** ms since 1970; not started before */
  startAt?: number
  /** the trigger that it came from */
  triggerId?: string
  retry?: RetryOf
  /** UUID of the execution whose failure it is started for (`onFailure`) */
  failureOf?: string
  idempotency?: Idempotency
  audit?: readonly AuditEntry[]
}

/** What a new execution goes on with. */
export interface RetryOf {
  /** UUID of the execution that it tries again */
  executionId: string
  /** the recorded ends that count here, by step, and the size of their outputs; absent: it uses nothing again */
  reuse?: { steps: ReadonlyMap<string, StepRecord>; bytes: number }
  /** the step to begin with, when one was named */
  from?: string
  /** why, for people */
  reason?: string
  /** UUIDs of those who started what it goes on with */
  initiators: readonly string[]
}

export interface RetryQuestion extends RetryWish {
  executionId: string
  /** what would run; absent: the version that ran */
  flowVersionId?: string
}

/** What trying an execution again means, and what `start` takes for it. */
export interface PlannedRetry {
  steps: PlannedStep[]
  flowVersionId: string
  program: Program
  input: JsonObject
  inputText: string
  priority: number
  labels: Record<string, string> | null
  retry: RetryOf
}

export interface AnswerOrder {
  requestId: string
  executionId: string
  decision: AgentDecision
  data: Json
  answeredBy: string
  idempotency?: Idempotency
  audit?: readonly AuditEntry[]
}

export interface VoteOrder {
  requestId: string
  executionId: string
  /** of what was shown to whoever votes */
  dataHash: string
  decision: 'APPROVE' | 'REJECT'
  data: Json
  /** UUID of a user */
  by: string
  idempotency?: Idempotency
  audit?: readonly AuditEntry[]
}

export interface DelegateOrder {
  requestId: string
  executionId: string
  /** UUIDs of users */
  from: string
  to: string
  audit?: readonly AuditEntry[]
}

export interface SignalOrder {
  executionId: string
  name: string
  data: Json
  /** of `data` as compact UTF-8 JSON */
  bytes: number
  /** a readable id */
  sentBy: string
  idempotency?: Idempotency
  audit?: readonly AuditEntry[]
}

export interface MigrationOrder {
  executionIds: readonly string[]
  /** of the same flow */
  flowVersionId: string
  /** a readable id */
  by: string
  /** what the audit log says of each that moves */
  audit?(executionId: string): readonly AuditEntry[]
}

/** None: it can move, or has moved. */
export interface MigrationVerdict {
  executionId: string
  obstacles: readonly MigrationObstacle[]
}

export interface ControlOrder {
  executionId: string
  reason?: string
  /** a readable id: who asks for it */
  by?: string
  audit?: readonly AuditEntry[]
}

/** `replayed`: an earlier call with this idempotency key did it. */
export interface Answered {
  requestId: string
  replayed: boolean
}

export interface Engine {
  /** Resolves when it is committed. Problems: LIMIT_REACHED, IDEMPOTENCY_MISMATCH, STATE_TOO_LARGE. */
  start(order: StartOrder): Promise<{ executionId: string; replayed: boolean } | Problem>
  /** NOT_FOUND; ILLEGAL_STATE when it cannot be tried again, or nothing of it would run; VALIDATION: there is no such step. */
  planRetry(question: RetryQuestion): Promise<PlannedRetry | Problem>
  /** What an earlier start with this key started; undefined: there was none. Problem: IDEMPOTENCY_MISMATCH. */
  startedBefore(idempotency: Idempotency): Promise<{ executionId: string } | Problem | undefined>
  /** Asks for the end; CANCELED at once if nothing runs, else within the fence. ILLEGAL_STATE when it has ended. */
  cancel(order: ControlOrder): Promise<{ executionId: string } | Problem>
  pause(order: ControlOrder): Promise<{ executionId: string } | Problem>
  resume(order: ControlOrder): Promise<{ executionId: string } | Problem>
  /** What stands in the way of each, those left out that are not there; VALIDATION: the version is not allowed any more. */
  planMigration(executionIds: readonly string[], flowVersionId: string): Promise<MigrationVerdict[] | Problem>
  /** Moves each to the version, or says why not; as above. LIMIT_REACHED. */
  migrate(order: MigrationOrder): Promise<MigrationVerdict[] | Problem>
  /** ILLEGAL_STATE when the request is not open any more; NOT_FOUND when there is none. Entitlement is checked above. */
  answer(order: AnswerOrder): Promise<Answered | Problem>
  /** Counts a vote. ILLEGAL_STATE when the approval is not open any more, or the vote was cast. Entitlement is checked above. */
  vote(order: VoteOrder): Promise<Answered | Problem>
  /** Hands a vote to somebody else. ILLEGAL_STATE when one of the two has voted, or has another's vote; LIMIT_REACHED. */
  delegate(order: DelegateOrder): Promise<Answered | Problem>
  /** Tells the execution something that a step may wait for. ILLEGAL_STATE when it has ended; LIMIT_REACHED when too much waits. */
  signal(order: SignalOrder): Promise<{ replayed: boolean } | Problem>
  /** The program of a flow version, compiled against the allow-list of now (A1), cached; issues when it is not allowed any more. */
  program(flowVersionId: string): Promise<Program | Problem>
  /** How often the flow may still be started, by the rules that need no input. */
  ratesLeft(of: { flowId: string; initiatorId: string; program: Program }): ReturnType<StartRates['look']>
  /** What hides the sensitive values of executions from whoever reads them. */
  masks: MasksOf
  /** Resolves when the execution has ended or after `waitMs`, whichever is first; no poll per waiting caller. */
  ended(executionId: string, waitMs: number): Promise<void>
}

/** Rung after each commit that changed the execution; the payload is its new `seq`. */
export const executionTopic = (executionId: string): string => `execution:${executionId}`
/** Rung after each commit that changed any execution. */
export const EXECUTIONS_TOPIC = 'executions'
/** Rung after each commit that asked something, or closed what was asked. */
export const AGENT_REQUESTS_TOPIC = 'agent-requests'
/** Rung for whoever holds an execution that was told something by another; the payload is its id. */
export const WORD_TOPIC = 'word'
/** Rung when somebody else changed what a worker holds, or runs steps of; the payload is the execution's id. */
export const workerTopic = (workerId: string): string => `worker:${workerId}`
/** Rung when an execution has ended. */
export const endedTopic = (executionId: string): string => `ended:${executionId}`
