/** What an execution or a step waits for: what holds it, since when, and when that ends by itself. Pure. */
import type { Execution } from '../../engine/entities/execution.ts'
import { isComposite } from '../../engine/in-flight.ts'
import type { InFlight } from '../../engine/in-flight.ts'
import { hasEnded } from '../../engine/states.ts'
import { waitsForSlot } from './read-slots.ts'
import type { Slot } from './read-slots.ts'
import { nameOf } from './read-steps.ts'

export const WAITING_KINDS = [
  ...(['AGENT', 'APPROVAL', 'SIGNAL', 'TIMER', 'RETRY', 'CHILD', 'START', 'SLOT', 'POOL'] as const),
  ...(['PAUSED', 'CANCELING', 'WORKER'] as const),
]

export interface Waiting {
  kind: (typeof WAITING_KINDS)[number]
  step: string | null
  since: Date
  /** null: nothing but somebody ends it */
  until: Date | null
  /** UUID of the agent request */
  requestId: string | null
  /** UUID of the child execution */
  childId: string | null
  /** the names that it waits for; how many of them, or how many approvals */
  signals: readonly string[]
  needed: number | null
  /** the number of the next attempt, and why the last one failed */
  attempt: number | null
  error: { code: string; message: string } | null
  /** a readable id: who paused or canceled it; and what they said */
  by: string | null
  reason: string | null
  /** executions that are claimed before it, 1000 at most; and workers that are alive */
  ahead: number | null
  workers: number | null
  /** that its execution waits for */
  slot: Slot | null
  /** whose workers take it; how many of them are alive, `workers`, and have room */
  pool: string | null
  free: number | null
}

const KINDS = {
  agent: 'AGENT',
  approval: 'APPROVAL',
  signal: 'SIGNAL',
  wait: 'TIMER',
  backoff: 'RETRY',
  child: 'CHILD',
  pooled: 'POOL',
} as const

export const NO_MORE = {
  ...{ step: null, until: null, requestId: null, childId: null, signals: [], needed: null, attempt: null, error: null },
  ...{ by: null, reason: null, ahead: null, workers: null, slot: null, pool: null, free: null },
}

/** Null when it runs. */
export function waitingOf(entry: InFlight): Waiting | null {
  if (entry.kind === 'act' || isComposite(entry) || (entry.kind === 'pooled' && entry.epoch !== 0)) return null
  return {
    ...NO_MORE,
    kind: KINDS[entry.kind],
    step: nameOf(entry.path),
    since: new Date(entry.startedAt),
    until: 'dueAt' in entry ? new Date(entry.dueAt) : null,
    ...('requestId' in entry && { requestId: entry.requestId }),
    ...(entry.kind === 'pooled' && { pool: entry.pool }),
    ...(entry.kind === 'child' && { childId: entry.childId }),
    ...(entry.kind === 'backoff' && { attempt: entry.attempt, error: entry.error ?? null }),
    ...(entry.kind === 'signal' && { signals: entry.signals, needed: entry.need }),
    ...(entry.kind === 'approval' && {
      needed: entry.quorum - entry.votes.filter(({ decision }) => decision === 'APPROVE').length,
    }),
  }
}

/** What of an execution tells what it waits for. */
export type Waits = Pick<
  Execution,
  | 'status'
  | 'wakeAt'
  | 'createdAt'
  | 'lastEventAt'
  | 'deadlineAt'
  | 'inFlight'
  | 'owner'
  | 'cancelReason'
  | 'pauseReason'
  | 'ending'
>

/**
 * Null when it moves, or has ended. Of several things that it waits for, what is due first. Who holds it, and whether a worker does at
 * all, is not in the execution: `read-waiting.ts` adds it.
 */
export function executionWaitsFor(execution: Waits): Waiting | null {
  const { status, wakeAt, createdAt, lastEventAt, inFlight, owner, ending } = execution
  const { cancelReason = null, pauseReason = null, deadlineAt = null } = execution
  if (hasEnded(status)) return null
  if (cancelReason !== null && !ending)
    return { ...NO_MORE, kind: 'CANCELING', since: lastEventAt, until: deadlineAt, reason: cancelReason }
  if (status === 'PAUSED') return { ...NO_MORE, kind: 'PAUSED', since: lastEventAt, reason: pauseReason }
  if (waitsForSlot(execution)) return { ...NO_MORE, kind: 'SLOT', since: createdAt }
  if (status === 'PENDING' && wakeAt) return { ...NO_MORE, kind: 'START', since: createdAt, until: wakeAt }
  // a map or a loop waits for what is inside of it
  const waiting = inFlight.filter((entry) => !isComposite(entry)).map(waitingOf)
  const first = waiting.includes(null) ? undefined : waiting.toSorted((a, b) => dueOf(a!) - dueOf(b!))[0]
  if (first) return first
  const isElsewhere = inFlight.some((entry) => entry.kind === 'pooled' && entry.epoch !== 0)
  return !owner && status !== 'WAITING' && !isElsewhere ? { ...NO_MORE, kind: 'WORKER', since: lastEventAt } : null
}

const dueOf = ({ until }: Waiting): number => until?.getTime() ?? Number.POSITIVE_INFINITY

/** In one sentence, for people. */
export function sayWaiting(waiting: Waiting): string {
  const { kind, step, signals, needed, attempt, error, by, reason, ahead, workers, slot, pool } = waiting
  const who = by === null ? '' : ` by ${by}`
  const why = reason === null ? '' : `: ${reason}`
  switch (kind) {
    case 'AGENT':
      return `${step} waits for an answer.`
    case 'APPROVAL':
      return `${step} waits for ${needed} more ${needed === 1 ? 'approval' : 'approvals'}.`
    case 'SIGNAL':
      return `${step} waits for ${needed} of the signals ${signals.join(', ')}.`
    case 'TIMER':
      return `${step} waits for its time.`
    case 'RETRY':
      return `${step} waits for its attempt ${attempt}${error ? `; the last one failed with ${error.code}` : ''}.`
    case 'CHILD':
      return `${step} waits for the end of the execution that it started.`
    case 'START':
      return 'It waits for the time that it is to start at.'
    case 'SLOT':
      return `It waits for others of its flow to end${slot ? `: ${slot.held} of ${slot.max} run, it is number ${slot.place} in the queue` : ''}.`
    case 'POOL':
      return `${step} waits for a worker of pool ${pool}${sayWorkers(waiting)}.`
    case 'PAUSED':
      return `It was paused${who}${why}`
    case 'CANCELING':
      return `It is being canceled${who}${why}`
    case 'WORKER':
      if (workers === 0)
        return pool === null ? 'No worker is alive to run it.' : `It waits for a worker of pool ${pool}; none is running.`
      return ahead === null ? 'Its worker was lost; another one takes it over.' : `It waits for a worker; ${ahead} go first.`
    default:
      return kind satisfies never
  }
}

/** Of the pool, when it is known. */
function sayWorkers({ workers, free }: Waiting): string {
  if (workers === null) return ''
  if (workers === 0) return '; none is running'
  return free === 0 ? `; ${workers} running, all full` : `; ${workers} running`
}

/** First its time has to come, then its turn; at the latest the time that its flow has is over. */
export function waitsForTurn(slot: Slot, { createdAt, deadlineAt }: Pick<Waits, 'createdAt' | 'deadlineAt'>): Waiting {
  if (slot.place === null) return { ...NO_MORE, kind: 'START', since: createdAt, until: slot.dueAt }
  const since = new Date(Math.max(slot.askedAt.getTime(), slot.dueAt.getTime()))
  return { ...NO_MORE, kind: 'SLOT', since, until: deadlineAt ?? null, slot }
}
