/** What some starts are stored with beside what every execution is: what a retry uses again, and whose it was; whose failure it is for. */
import { encodeId } from '../ids.ts'
import type { OriginRow, WaitRow } from './decide/draft.ts'
import type { Snapshot } from './decide/snapshot.ts'
import type { StartFields } from './encode.ts'
import type { RetryOf } from './engine.ts'

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
