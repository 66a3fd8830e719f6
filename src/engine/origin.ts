/** What a retry is stored with beside what every execution is: what it uses again, and whose it was. */
import { encodeId } from '../ids.ts'
import type { OriginRow } from './decide/draft.ts'
import type { Snapshot } from './decide/snapshot.ts'
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
