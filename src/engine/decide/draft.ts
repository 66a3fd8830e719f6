/** A transition in the making: the snapshot's fields, open for writing, and the rows that will be stored with them. */
import { DEFAULT_POOL } from '../../language/around/pool.ts'
import type { ActSpec } from '../../language/steps/step-types.ts'
import type { Program } from '../../language/program.ts'
import type { Json } from '../../language/values.ts'
import type { ExecutionError } from '../entities/execution.ts'
import { isComposite } from '../in-flight.ts'
import type { AttemptEntry, InFlight } from '../in-flight.ts'
import type { AgentDecision, AgentRequestStatus, EndedStepStatus, EventType, ExecutionStatus, UnhappyStatus } from '../states.ts'
import type { Input, InputResult } from './input.ts'
import type { Run } from './run.ts'
import type { BufferedSignal, Snapshot, StepRecord } from './snapshot.ts'
import type { WaitRow } from './wait-rows.ts'

/** What `decide` is told about the world; it asks nobody. */
export interface World {
  /** ms since 1970, database time */
  now: number
  /** this process's worker; null: a process that only visits */
  worker: string | null
  /** it would hold what nobody holds: what becomes runnable is then launched here */
  adopt: boolean
  /** it stops: launches nothing new, and lets go of each execution of which nothing runs here; absent: false */
  draining?: boolean
  /** those that it serves; absent: all */
  pools?: ReadonlySet<string>
  /** waits that end within this stay in the holder's memory instead of being released */
  keepMs: number
  /** how long a canceled execution may take to stop what runs */
  fenceMs: number
}

export interface EventRow {
  seq: number
  type: EventType
  at: number
  step?: string
  path?: string
  attempt?: number
  data?: Json
}

export interface StepRunRow {
  path: string
  name: string
  type: string
  status: EndedStepStatus
  attempt: number
  startedAt: number | null
  finishedAt: number
  route?: string
  input?: Json
  output?: Json
  error?: { code: string; message: string }
}

export interface AskRow {
  id: string
  path: string
  attempt: number
  kind: 'REQUEST' | 'NOTICE' | 'APPROVAL'
  role: string
  subject: string
  body: Json
  deadlineAt: number | null
}

export interface ClosedAsk {
  id: string
  status: AgentRequestStatus
  decision?: AgentDecision
  answer?: Json
  answeredBy?: string
}

/** An attempt to run now. `suspect`: wait for the lane and say `isolated` first. */
export interface Launch {
  run: Run
  spec: ActSpec
  entry: AttemptEntry
  input: Json
  suspect: boolean
}

/** An attempt to stop. `worker`: who runs it, when that is not whoever holds the execution. */
export interface Abort {
  path: string
  attempt: number
  worker?: string
}

/** A word to another execution: stored with the sender's transition, read with the receiver's. The key is unique to the receiver. */
export interface Word {
  executionId: string
  key: string
  kind: 'cancel' | 'childEnded'
  body: Json
}

export interface LateOutcome {
  path: string
  attempt: number
  epoch: number
  outcome: Json
}

export interface Draft {
  /** what is stored; of another version once the execution has moved there */
  from: Snapshot
  readonly world: World
  status: ExecutionStatus
  owner: string | null
  epoch: number
  deadlineAt: number | null
  cancelReason: string | null
  pauseReason: string | null
  ending: UnhappyStatus | null
  wakeAt: number | null
  seq: number
  lastEventAt: number
  stateBytes: number
  startedAt: number | null
  endedAt: number | null
  reason: string | null
  error: ExecutionError | null
  output?: Json
  steps: Map<string, StepRecord>
  inFlight: InFlight[]
  signals: readonly BufferedSignal[]
  knownSignals: readonly string[]
  /** of maps that have begun, by path: what `over` came to, kept beside the snapshot so that it is made once */
  lists: ReadonlyMap<string, readonly Json[]>
  tokens: number
  readonly events: EventRow[]
  readonly stepRuns: StepRunRow[]
  readonly asks: AskRow[]
  readonly closedAsks: ClosedAsk[]
  readonly waits: WaitRow[]
  readonly launches: Launch[]
  readonly aborts: Abort[]
  readonly readMessages: string[]
  readonly words: Word[]
  readonly lates: LateOutcome[]
  readonly results: InputResult[]
  /** steps are left that could begin now: another transition goes on, so that none takes long */
  more: boolean
}

export interface Transition {
  readonly from: Snapshot
  readonly next: Snapshot
  readonly inputs: readonly Input[]
  /** one for each input */
  readonly results: readonly InputResult[]
  readonly events: readonly EventRow[]
  readonly stepRuns: readonly StepRunRow[]
  readonly asks: readonly AskRow[]
  readonly closedAsks: readonly ClosedAsk[]
  readonly waits: readonly WaitRow[]
  readonly readMessages: readonly string[]
  readonly words: readonly Word[]
  readonly lates: readonly LateOutcome[]
  /** to do once it is committed */
  readonly launches: readonly Launch[]
  readonly aborts: readonly Abort[]
  /** the flow's output, when this transition ended it well */
  readonly output?: Json
  /** false: there is nothing to store */
  readonly changed: boolean
  /** it goes on at once with another transition */
  readonly more: boolean
}

/** Events carry at most 8 KB; what is larger is in the step run. */
const MAX_EVENT_DATA_CHARS = 2000

/** Whether an execution of this program that nobody holds may be held here. */
export const mayAdopt = ({ adopt, pools }: World, { pool = DEFAULT_POOL }: Program): boolean =>
  adopt && (pools?.has(pool) ?? true)

/** It is held by this worker, which stops. */
export const isDraining = ({ owner, world }: Draft): boolean =>
  world.draining === true && owner !== null && owner === world.worker

/** Appends an event; its time never goes back. */
export function emit(draft: Draft, type: EventType, more: Omit<EventRow, 'seq' | 'type' | 'at'> = {}): void {
  draft.lastEventAt = Math.max(draft.world.now, draft.lastEventAt)
  const event: EventRow = { seq: ++draft.seq, type, at: draft.lastEventAt }
  const { step, path, attempt, data } = more
  if (step !== undefined) event.step = step
  if (path !== undefined) event.path = path
  if (attempt !== undefined) event.attempt = attempt
  if (data !== undefined) event.data = JSON.stringify(data).length > MAX_EVENT_DATA_CHARS ? { truncated: true } : data
  draft.events.push(event)
}

/** The same of a step run; of one inside a map or a loop only what its row does not tell, and not without end. */
export function emitOf(draft: Draft, run: Run, type: EventType, more: Pick<EventRow, 'attempt' | 'data'> = {}): void {
  if (run.within && !mayTell(draft, run, type)) return
  emit(draft, type, { step: run.step.name, path: run.path, attempt: more.attempt, data: more.data })
}

const QUIET: ReadonlySet<EventType> = new Set([
  'step.started',
  'step.claimed',
  'step.succeeded',
  'step.skipped',
  'step.canceled',
  'child.started',
])
/** Events of failures, retries and takeovers inside one step: with more, the history could not be read any more; rows and counts tell. */
const MOST_TOLD = 100

function mayTell(draft: Draft, { within, path }: Run, type: EventType): boolean {
  if (!within || QUIET.has(type)) return false
  let outermost = within
  while (outermost.within) outermost = outermost.within
  const entry = draft.inFlight.find((other) => other.path === outermost.path)
  if (!entry || !isComposite(entry) || !type.startsWith('step.') || path === entry.path) return true
  const told = (entry.told ?? 0) + 1
  if (told <= MOST_TOLD) replaceInFlight(draft, { ...entry, told })
  return told <= MOST_TOLD
}

/** It was canceled, and only waits for what runs to stop. */
export const isStopping = (draft: Draft): boolean => draft.cancelReason !== null && draft.ending === null

export function removeInFlight(draft: Draft, path: string): void {
  draft.inFlight = draft.inFlight.filter((entry) => entry.path !== path)
}

export function replaceInFlight(draft: Draft, entry: InFlight): void {
  draft.inFlight = draft.inFlight.map((other) => (other.path === entry.path ? entry : other))
}
