/** What an execution or a step waits for, in words for people. Pure. */
import type { Execution } from '../engine/entities/execution.ts'
import { isComposite } from '../engine/in-flight.ts'
import type { InFlight } from '../engine/in-flight.ts'
import type { Slot } from './read-slots.ts'
import { nameOf } from './read-steps.ts'

export interface Waiting {
  kind: 'AGENT' | 'APPROVAL' | 'SIGNAL' | 'TIMER' | 'RETRY' | 'CHILD' | 'START' | 'SLOT'
  step: string | null
  since: Date
  until: Date | null
  /** UUID of the agent request */
  requestId: string | null
  /** the names that it waits for; how many of them, or how many approvals */
  signals: readonly string[]
  needed: number | null
  /** that its execution waits for */
  slot: Slot | null
}

const KINDS = { agent: 'AGENT', approval: 'APPROVAL', signal: 'SIGNAL', wait: 'TIMER', backoff: 'RETRY', child: 'CHILD' } as const

const NO_MORE = { requestId: null, signals: [], needed: null, slot: null }

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

/** What is due first, when nothing of it runs. `slot`: the one that it waits for. */
export function executionWaitsFor(
  execution: Pick<Execution, 'status' | 'wakeAt' | 'createdAt' | 'inFlight'> & Partial<Pick<Execution, 'deadlineAt'>>,
  slot: Slot | null = null,
): Waiting | null {
  const { status, wakeAt, createdAt, inFlight } = execution
  if (slot) return waitsFor(slot, execution)
  if (status === 'PENDING' && wakeAt) return { kind: 'START', step: null, since: createdAt, until: wakeAt, ...NO_MORE }
  // a map or a loop waits for what is inside of it
  const waiting = inFlight.filter((entry) => !isComposite(entry)).map(waitingOf)
  if (waiting.includes(null)) return null
  return waiting.toSorted((a, b) => Number(a!.until) - Number(b!.until))[0] ?? null
}

/** First its time has to come, then its turn; at the latest the time that its flow has is over. */
function waitsFor(slot: Slot, { createdAt, deadlineAt }: Parameters<typeof executionWaitsFor>[0]): Waiting {
  if (slot.place === null) return { kind: 'START', step: null, since: createdAt, until: slot.dueAt, ...NO_MORE }
  const since = new Date(Math.max(slot.askedAt.getTime(), slot.dueAt.getTime()))
  return { kind: 'SLOT', step: null, since, until: deadlineAt ?? null, ...NO_MORE, slot }
}
