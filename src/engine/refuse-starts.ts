/** Starts that waited are looked at again when they begin: whoever asked for them may not be allowed to any more. */
import type { Loaded } from './load-snapshots.ts'

/** A start that is about to begin. UUIDs. */
export interface DueStart {
  executionId: string
  flowId: string
  flowVersionId: string
  initiatorId: string
}

/** Why each may not begin; undefined where it may. One question for all; when it throws, they are asked for again. */
export type AdmitStarts = (starts: readonly DueStart[]) => Promise<readonly (string | undefined)[]>

/** Who started it was checked so short a time before that the answer still holds. */
const CHECKED_MS = 1_000

/** The same, those that may not begin marked as not allowed. */
export async function refuseStarts(
  loaded: readonly Loaded[],
  admit: AdmitStarts | undefined,
  now: number,
): Promise<readonly Loaded[]> {
  const waited = loaded.filter(
    ({ snapshot, notAllowed }) =>
      snapshot.startedAt === null && notAllowed === undefined && now - snapshot.createdAt >= CHECKED_MS,
  )
  if (!admit || waited.length === 0) return loaded
  const reasons = await admit(
    waited.map(({ snapshot: { id, flowId, flowVersionId, initiatorId } }) => ({
      ...{ executionId: id, flowId, flowVersionId, initiatorId },
    })),
  )
  const refused = new Map(waited.map((one, index) => [one, reasons[index]]))
  return loaded.map((one) => {
    const reason = refused.get(one)
    return reason === undefined ? one : { ...one, notAllowed: reason }
  })
}
