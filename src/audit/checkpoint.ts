/** Where the audit log begins since its oldest part was removed: a signed word on what was there, from which the chain goes on. */
import type { AuditKeys } from './audit-keys.ts'
import { WHY } from './seal.ts'
import type { Break, Seal } from './seal.ts'

/** The last seal that is gone, and what went with it. */
export interface Checkpoint {
  readonly position: number
  readonly hash: Uint8Array
  /** of the last row that is gone */
  readonly lastId: string
  readonly lastXid: string
  readonly sealedAt: Date
  /** rows that were ever removed */
  readonly events: number
  /** database time, whole ms */
  readonly madeAt: Date
  readonly signature: Uint8Array
}

/** After `removed`, which follow what was removed `before`; they are at least one. */
export function makeCheckpoint(
  keys: Pick<AuditKeys, 'sign'>,
  before: Checkpoint | undefined,
  removed: readonly Seal[],
  madeAt: Date,
): Checkpoint {
  const { position, hash, ids, lastXid, sealedAt } = removed.at(-1)!
  const events = removed.reduce((sum, seal) => sum + seal.ids.length, before?.events ?? 0)
  const unsigned = { position, hash, lastId: ids.at(-1)!, lastXid, sealedAt, events, madeAt }
  return { ...unsigned, signature: keys.sign(textOf(unsigned)) }
}

/** undefined = it is as it was made. */
export function checkCheckpoint(keys: Pick<AuditKeys, 'check'>, checkpoint: Checkpoint): Break | undefined {
  const verdict = keys.check(textOf(checkpoint), checkpoint.signature)
  return verdict === 'GOOD' ? undefined : { id: null, why: `the checkpoint behind seal ${checkpoint.position} ${WHY[verdict]}` }
}

/** What the first seal that is left follows. */
export const lastSealOf = ({ position, hash, lastId, lastXid, sealedAt }: Checkpoint): Seal => ({
  ...{ position, hash, ids: [lastId], lastXid, sealedAt },
})

function textOf({ position, hash, lastId, lastXid, sealedAt, events, madeAt }: Omit<Checkpoint, 'signature'>): string {
  const seal = [position, Buffer.from(hash).toString('hex'), lastId, lastXid, sealedAt.getTime()]
  return JSON.stringify(['checkpoint', 1, ...seal, events, madeAt.getTime()])
}
