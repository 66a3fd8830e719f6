/** What an execution has under way: steps that run, and steps that wait. Kept in `executions.in_flight`, bounded by the steps of the flow. */
import type { Json } from '../language/values.ts'

import type { Progress } from './acts/reports.ts'

interface Common {
  path: string
  /** from 1; a retry has the next number, a takeover keeps it */
  attempt: number
  /** ms since 1970, database time */
  startedAt: number
  /** when its first attempt began, where `retry.within` counts from there */
  firstAt?: number
}

interface Attempt extends Common {
  /** the claim that launched it; 0 = nobody has launched it yet */
  epoch: number
  /** takeovers while it was in flight; from the first on it runs isolated, from the second on it is a suspect */
  crashes?: number
  /** it runs alone on its worker, and crashed so often while alone */
  alone?: boolean
  aloneCrashes?: number
  /** what it said last of how far it is */
  progress?: Progress
}

/** Work outside of deciding that runs, or is to be run by whoever holds the execution. */
export interface ActEntry extends Attempt {
  kind: 'act'
  /** of a `flow` step: the child that it starts */
  childId?: string
  /** of a `map` step whose items have all ended: it reads their outputs */
  counts?: ItemCounts
}

/** The same, run by a worker of a pool, whoever holds the execution. Its epochs are those of its own claims. */
export interface PooledEntry extends Attempt {
  kind: 'pooled'
  pool: string
  /** UUID: who claimed it last and has not given it back */
  worker?: string
  /** the epoch of that claim, or of the last one there was */
  claims?: number
}

export type AttemptEntry = ActEntry | PooledEntry

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
  /** of a `backoff`: why the attempt before failed */
  error?: { code: string; message: string }
}

/** A step that waits for signals: so many of these names. */
export interface SignalEntry extends Common {
  kind: 'signal'
  signals: readonly string[]
  need: number
  dueAt: number
  /** with a condition: the last signal that was judged by it, and those that fulfilled it (by their `seq`) */
  judged?: number
  fitting?: readonly number[]
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

/** A child execution that has not ended. */
export interface ChildEntry extends Common {
  kind: 'child'
  childId: string
  dueAt: number
}

/** How the items of a map are. */
export interface ItemCounts {
  total: number
  succeeded: number
  failed: number
  skipped: number
}

interface Composite extends Common {
  dueAt?: number
  /** what is said in the history of the step runs inside is bounded: events so far, and the last step of progress told */
  told?: number
  shown?: number
}

/** A map: the items before `next` have begun; those under way have entries of their own. */
export interface MapEntry extends Composite, ItemCounts {
  kind: 'map'
  next: number
  /** of the outputs so far */
  bytes: number
  /** of the item that failed last */
  error?: { code: string; message: string }
}

/** A loop: the iteration has an entry of its own unless it has `ended`. */
export interface LoopEntry extends Composite {
  kind: 'loop'
  /** from 1; 0 = none has begun */
  iteration: number
  ended: boolean
  /** the path of the last iteration that succeeded, and the size of its output */
  last?: string
  bytes?: number
  /** iterations that failed and let it go on, and that were skipped */
  failed?: number
  skipped?: number
  error?: { code: string; message: string }
}

export type CompositeEntry = MapEntry | LoopEntry
export type InFlight = AttemptEntry | AgentEntry | TimerEntry | SignalEntry | ApprovalEntry | ChildEntry | CompositeEntry

type Fields<Kind extends InFlight['kind'], Entry = InFlight> = Entry extends { kind: infer Kinds }
  ? Kind extends Kinds
    ? Record<keyof Entry, true>
    : never
  : never

const COMMON = { kind: true, path: true, attempt: true, startedAt: true, firstAt: true } as const
const ATTEMPT = { ...COMMON, epoch: true, crashes: true, alone: true, aloneCrashes: true, progress: true } as const
const ASKED = { ...COMMON, requestId: true, dueAt: true } as const
const TIMER = { ...COMMON, dueAt: true, expires: true, error: true } as const
const COMPOSITE = {
  ...COMMON,
  dueAt: true,
  told: true,
  shown: true,
  failed: true,
  skipped: true,
  bytes: true,
  error: true,
} as const
const FIELDS: { readonly [Kind in InFlight['kind']]: Fields<Kind> } = {
  act: { ...ATTEMPT, childId: true, counts: true },
  pooled: { ...ATTEMPT, pool: true, worker: true, claims: true },
  agent: ASKED,
  approval: { ...ASKED, dataHash: true, quorum: true, rejects: true, selfApproval: true, votes: true, delegations: true },
  signal: { ...COMMON, dueAt: true, signals: true, need: true, judged: true, fitting: true },
  wait: TIMER,
  backoff: TIMER,
  child: { ...COMMON, dueAt: true, childId: true },
  map: { ...COMPOSITE, total: true, succeeded: true, next: true },
  loop: { ...COMPOSITE, iteration: true, ended: true, last: true },
}

/** False: a newer release has put it there, or a field of it. Whoever does not know what that says does not go on with it. */
export function isReadable(entry: object & { kind: string }): boolean {
  if (!Object.hasOwn(FIELDS, entry.kind)) return false
  const fields: object = FIELDS[entry.kind as InFlight['kind']]
  return Object.keys(entry).every((name) => Object.hasOwn(fields, name))
}

export const isAttempt = (entry: InFlight): entry is AttemptEntry => entry.kind === 'act' || entry.kind === 'pooled'

export const isComposite = (entry: InFlight): entry is CompositeEntry => entry.kind === 'map' || entry.kind === 'loop'

/** It waits for its turn to run alone. One crash is bad luck: whatever was in flight beside the cause has it too. */
export const isSuspect = ({ crashes = 0, alone }: AttemptEntry): boolean => crashes > 1 && alone !== true

/** Of a loop: the iterations that have begun. */
export function countsOf(entry: CompositeEntry): ItemCounts {
  if (entry.kind === 'map') {
    const { total, succeeded, failed, skipped } = entry
    return { total, succeeded, failed, skipped }
  }
  const { iteration: total, skipped = 0 } = entry
  const failed = (entry.failed ?? 0) + (entry.error ? 1 : 0)
  return { total, succeeded: total - failed - skipped - (entry.ended ? 0 : 1), failed, skipped }
}

/** How far it is, if it says so; of a map and a loop how many have ended. */
export function progressOf(entry: InFlight): Progress | undefined {
  if (!isComposite(entry)) return isAttempt(entry) ? entry.progress : undefined
  const { total, succeeded, failed, skipped } = countsOf(entry)
  return entry.kind === 'map' ? { done: succeeded + failed + skipped, total } : { done: succeeded + failed }
}

/** When time alone changes it; infinite: never. */
export function dueAtOf(entry: InFlight): number {
  return 'dueAt' in entry && entry.dueAt !== undefined ? entry.dueAt : Number.POSITIVE_INFINITY
}

/** The same for whoever holds the execution: for `keepMs` after it began, what runs elsewhere may end any moment, and is waited for. */
export function lookAgainAt(entry: InFlight, keepMs: number, now: number): number {
  const isFresh = (entry.kind === 'child' || entry.kind === 'pooled') && entry.startedAt + keepMs > now
  return isFresh ? Math.min(entry.startedAt + keepMs, dueAtOf(entry)) : dueAtOf(entry)
}

/** When its holder has to look at it again; null: never by itself. */
export function earliestDue(
  of: { inFlight: readonly InFlight[]; pauseReason: string | null },
  keepMs: number,
  now: number,
): number | null {
  const due = Math.min(...of.inFlight.map((entry) => lookAgainAt(entry, keepMs, now)))
  return due === Number.POSITIVE_INFINITY || of.pauseReason !== null ? null : due
}

/** Whether `path` lies somewhere inside of the step run at `outer`. */
export function isInside(path: string, outer: string): boolean {
  return path.startsWith(outer) && (path[outer.length] === '[' || path.startsWith('.items[', outer.length))
}
