/** What an execution does until something happens to it: it runs, or it waits, held or not, until a time. */
import { dueAtOf, lookAgainAt } from '../in-flight.ts'
import type { InFlight } from '../in-flight.ts'
import type { Draft } from './draft.ts'

export const runsAny = ({ inFlight }: Draft): boolean => inFlight.some((entry) => entry.kind === 'act')
/** A child, or a step that a worker of its pool has begun. */
export const runsElsewhere = ({ inFlight }: Draft): boolean => inFlight.some((entry) => entry.kind === 'child' || isBegun(entry))
const isBegun = (entry: InFlight): boolean => entry.kind === 'pooled' && entry.epoch !== 0

/** Status, owner and waking time follow from what is in flight. */
export function settle(draft: Draft): void {
  const { world, inFlight } = draft
  const acts = runsAny(draft)
  const begun = inFlight.some(isBegun)
  if (draft.pauseReason !== null && !acts && !begun) return rest(draft, 'PAUSED', null)
  if (draft.startedAt === null) {
    // PENDING: whoever claims it starts it, as soon as its time has come
    if (draft.wakeAt !== null && draft.wakeAt <= world.now) draft.wakeAt = null
    return
  }
  if (acts || draft.more) {
    draft.status = 'RUNNING'
    draft.wakeAt = null
    return
  }
  const dueAt = Math.min(draft.deadlineAt ?? Number.POSITIVE_INFINITY, ...inFlight.map(dueAtOf))
  const lookAt = Math.min(...inFlight.map((entry) => lookAgainAt(entry, world.keepMs, world.now)))
  const soon = lookAt - world.now <= world.keepMs
  if (draft.owner !== null && (soon || draft.owner !== world.worker)) draft.status = 'RUNNING'
  else rest(draft, begun ? 'RUNNING' : 'WAITING', dueAt)
}

function rest(draft: Draft, status: 'RUNNING' | 'WAITING' | 'PAUSED', wakeAt: number | null): void {
  draft.status = status
  draft.owner = null
  draft.wakeAt = wakeAt
}
