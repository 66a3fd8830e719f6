/** An execution that is about to be stored for the first time. */
import type { StartOrder } from './engine.ts'
import type { SlotAsk } from './slots.ts'
import { NEVER_MS } from './decide/snapshot.ts'
import type { Snapshot } from './decide/snapshot.ts'

type Order = Pick<StartOrder, 'flowId' | 'flowVersionId' | 'initiatorId' | 'program' | 'input' | 'priority' | 'startAt'> &
  Pick<Snapshot, 'origin'>

/** `stateBytes`: of the input; `now`: database time; `slot`: what it needs before it can be claimed. */
export function newSnapshot(
  order: Order & { id: string; parentId?: string },
  stateBytes: number,
  now: number,
  slot?: SlotAsk,
): Snapshot {
  // counted from here, not from the claim: a held execution's indexed columns do not change
  const deadlineAt = Math.max(now, order.startAt ?? now) + order.program.timeoutMs
  return {
    ...{ id: order.id, flowId: order.flowId, flowVersionId: order.flowVersionId, initiatorId: order.initiatorId },
    ...{ program: order.program, input: order.input, status: 'PENDING', version: 0, epoch: 0, owner: null },
    wakeAt: slot ? NEVER_MS : order.startAt !== undefined && order.startAt > now ? order.startAt : null,
    ...{ deadlineAt, cancelReason: null, pauseReason: null, seq: 0, lastEventAt: now, stateBytes, createdAt: now },
    ...{ startedAt: null, endedAt: null, reason: null, error: null, steps: new Map(), inFlight: [] },
    ...(order.priority !== undefined && { priority: order.priority }),
    ...{ ending: null, parentId: order.parentId ?? null, origin: order.origin ?? null, slotKey: slot?.key ?? null },
  }
}
