/** What can happen to an execution, as data; the inputs that wait in its mailbox fold into one transition. */
import type { StepErrorCode } from '../../errors.ts'
import type { Program } from '../../language/program.ts'
import type { Json } from '../../language/values.ts'
import type { ExecutionError } from '../entities/execution.ts'
import type { AgentDecision, EndedStatus } from '../states.ts'
import type { Report } from '../acts/reports.ts'

export type Outcome =
  | { ok: true; output: Json; bytes: number }
  | ({ ok: false; code: StepErrorCode; message: string } & FailureHints)

/** What is known of a failure beside its code. */
export interface FailureHints {
  /** false: another attempt is useless */
  retryable?: boolean
  /** a narrower name of it, which `retry.on` may say instead of the code: `HTTP_429` */
  kind?: string
  /** not before this many ms, says what was called */
  retryAfterMs?: number
}

/** How a child ended. */
export interface ChildEnd {
  childId: string
  status: EndedStatus
  reason: string | null
  error: ExecutionError | null
  /** when it succeeded and has one */
  output?: Json
}

/** Where an execution moves to, and how that differs from where it comes from. */
export interface Migration {
  /** UUIDs of flow versions, and their numbers */
  from: { id: string; number: number }
  to: { id: string; number: number; program: Program }
  /** steps of the version it comes from that the other does not define in the very same way */
  changed: ReadonlySet<string>
}

export type Input =
  | { kind: 'started' }
  /** it was claimed: `epoch` is one higher than that of the holder before */
  | { kind: 'claimed' }
  /** `input`: what the handler was given */
  | { kind: 'outcome'; path: string; attempt: number; epoch: number; outcome: Outcome; input?: Json }
  /** an attempt that runs says something; after its end it is dropped */
  | { kind: 'reported'; path: string; attempt: number; epoch: number; report: Report }
  /** a suspect is about to run alone */
  | { kind: 'isolated'; path: string; attempt: number }
  | { kind: 'answered'; requestId: string; decision: AgentDecision; data: Json; answeredBy: string }
  /** `id`: UUID, the same for calls with the same idempotency key; `sentBy`: a readable id */
  | { kind: 'signaled'; id: string; name: string; data: Json; bytes: number; sentBy: string }
  | { kind: 'voted'; requestId: string; dataHash: string; decision: 'APPROVE' | 'REJECT'; data: Json; by: string }
  | { kind: 'delegated'; requestId: string; from: string; to: string }
  /** `by`: the readable id of who asks for it */
  | { kind: 'cancel'; reason: string; by?: string }
  | { kind: 'pause'; reason: string; by?: string }
  | { kind: 'resume'; reason?: string; by?: string }
  /** it is to go on as an execution of another flow version */
  | { kind: 'migrate'; migration: Migration; by: string }
  /** a worker has claimed a step of its `pool`, with this epoch, and runs it; `alone`: it is a suspect whose turn has come */
  | { kind: 'stepClaimed'; path: string; attempt: number; epoch: number; worker: string; pool?: string; alone?: boolean }
  /** it gives it back: it runs again elsewhere */
  | { kind: 'stepGivenBack'; path: string; attempt: number; epoch: number }
  /** its holder gives it back although something runs: that is stopped and runs again elsewhere */
  | { kind: 'handBack' }
  /** a word from another execution, read from the inbox */
  | { kind: 'message'; key: string; message: 'cancel'; reason: string }
  /** another such word: a child has ended */
  | ({ kind: 'childEnded'; key: string } & ChildEnd)
  /** time has passed: whatever is due fires (it does so with every other input too) */
  | { kind: 'tick' }
  /** its definition names what is not on the allow-list any more (A1) */
  | { kind: 'notAllowed'; message: string }
  /** the transition that this execution asked for cannot be stored */
  | { kind: 'unstorable'; message: string }

/** What became of an input. `late`: nobody waits for it any more; `duplicate`: it was recorded before; `full`: there is no room for it. */
export type InputResult = 'applied' | 'duplicate' | 'late' | 'illegal' | 'full'
