/** What an execution or a step waits for, in words for people. Pure. */
import type { Execution } from '../engine/entities/execution.ts'
import { isComposite } from '../engine/in-flight.ts'
import type { InFlight } from '../engine/in-flight.ts'
import { nameOf } from './read-steps.ts'

export interface Waiting {
  kind: 'AGENT' | 'APPROVAL' | 'SIGNAL' | 'TIMER' | 'RETRY' | 'CHILD' | 'START'
  step: string | null
  since: Date
  until: Date | null
  /** UUID of the agent request */
  requestId: string | null
  /** the names that it waits for; how many of them, or how many approvals */
  signals: readonly string[]
  needed: number | null
}

const KINDS = { agent: 'AGENT', approval: 'APPROVAL', signal: 'SIGNAL', wait: 'TIMER', backoff: 'RETRY', child: 'CHILD' } as const

const NO_MORE = { requestId: null, signals: [], needed: null }

/** Null when it runs. */
export function waitingOf(entry: InFlight): Waiting | null {
  if (entry.kind === 'act' || isComposite(entry)) return null
  return {
    kind: KINDS[entry.kind],
    step: nameOf(entry.path),
    since: new Date(entry.startedAt),
    until: new Date(entry.dueAt),
    ...NO_MORE,
    ...('requestId' in entry && { requestId: entry.requestId }),
    ...(entry.kind === 'signal' && { signals: entry.signals, needed: entry.need }),
    ...(entry.kind === 'approval' && {
      needed: entry.quorum - entry.votes.filter(({ decision }) => decision === 'APPROVE').length,
    }),
  }
}

/** What is due first, when nothing of it runs. */
export function executionWaitsFor(execution: Pick<Execution, 'status' | 'wakeAt' | 'createdAt' | 'inFlight'>): Waiting | null {
  const { status, wakeAt, createdAt, inFlight } = execution
  if (status === 'PENDING' && wakeAt) return { kind: 'START', step: null, since: createdAt, until: wakeAt, ...NO_MORE }
  // a map or a loop waits for what is inside of it
  const waiting = inFlight.filter((entry) => !isComposite(entry)).map(waitingOf)
  if (waiting.includes(null)) return null
  return waiting.toSorted((a, b) => Number(a!.until) - Number(b!.until))[0] ?? null
}
