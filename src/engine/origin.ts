/** What starts are stored with beside their snapshot: what a retry uses again, and whose it was; whose failure it is for. */
import { encodeId } from '../ids.ts'
import type { Snapshot } from './decide/snapshot.ts'
import type { OriginRow, WaitRow } from './decide/wait-rows.ts'
import type { Idempotency, RetryOf } from './engine.ts'
import type { SlotAsk } from './slots.ts'

/** What a new execution has beyond its snapshot. */
export interface StartFields {
  inputText: string
  priority: number
  labels: Record<string, string> | null
  parentId: string | null
  retryOf: string | null
  /** the trigger that it came from */
  triggerId?: string
  origin?: OriginRow
  /** UUID of the execution whose failure it is started for */
  failureOf?: string
  /** what began it, when somebody traces */
  traceparent?: string
  /** null = not limited (children) */
  runningLimit: number | null
  idempotency?: Idempotency
  /** of a flow with `concurrency` */
  slot?: SlotAsk
}

/** What is used again has ended when the execution begins. */
export function withReused(snapshot: Snapshot, retry: RetryOf | undefined): Snapshot {
  if (!retry) return snapshot
  const { executionId, reuse, initiators } = retry
  return {
    ...snapshot,
    ...(reuse && { steps: reuse.steps, stateBytes: snapshot.stateBytes + reuse.bytes }),
    origin: { retryOf: encodeId('execution', executionId), initiators, ...toldOf(retry) },
  }
}

export function originOf(retry: RetryOf): OriginRow {
  const { executionId, reuse, initiators } = retry
  return { initiators, paths: [...(reuse?.steps.keys() ?? [])], ...(reuse && { retried: executionId }), ...toldOf(retry) }
}

const toldOf = ({ from, reason }: RetryOf): Pick<OriginRow, 'from' | 'reason'> => ({
  ...(from !== undefined && { from }),
  ...(reason !== undefined && { reason }),
})

/** The rows of it. */
export const startWaits = ({ origin, failureOf, traceparent }: StartFields): WaitRow[] => [
  ...(origin ? [{ kind: 'origin' as const, ...origin }] : []),
  ...(failureOf ? [{ kind: 'failureOf' as const, id: failureOf }] : []),
  ...(traceparent ? [{ kind: 'trace' as const, traceparent }] : []),
]
