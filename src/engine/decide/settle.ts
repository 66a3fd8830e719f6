/** What an execution does until something happens to it: it runs, or it waits, held or not, until a time. */
import { dueAtOf, lookAgainAt } from '../in-flight.ts'
import type { Draft } from './draft.ts'

export const runsAny = ({ inFlight }: Draft): boolean => inFlight.some((entry) => entry.kind === 'act')
export const hasChild = ({ inFlight }: Draft): boolean => inFlight.some((entry) => entry.kind === 'child')

/** Status, owner and waking time follow from what is in flight. */
export function settle(draft: Draft): void {
  const { world, inFlight } = draft
  const acts = runsAny(draft)
  if (draft.pauseReason !== null && !acts) return rest(draft, 'PAUSED', null)
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
  else rest(draft, 'WAITING', dueAt)
}

function rest(draft: Draft, status: 'WAITING' | 'PAUSED', wakeAt: number | null): void {
  draft.status = status
  draft.owner = null
  draft.wakeAt = wakeAt
}
