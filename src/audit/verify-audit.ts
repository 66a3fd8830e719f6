/** Walks the chain of the audit log and says where it breaks: a page at a time, from any seal on. */
import type { Database } from '../database/database.ts'
import type { AuditKeys } from './audit-keys.ts'
import { behind, readLastSeal, readRowsBehind, readRowsBetween, readSeal, readSeals } from './read-chain.ts'
import { checkRow, checkSeal } from './seal.ts'
import type { Break, Head, Seal } from './seal.ts'
import type { SealedHead } from './sealed-head.ts'

export interface AuditVerification {
  /** nothing that was looked at is broken */
  intact: boolean
  /** rows that were looked at */
  checked: number
  broken?: Break
  /** the last seal that was found good; 0 = none */
  position: number
  /** ms since 1970: all that was committed before is sealed and was looked at; undefined = nothing is sealed */
  sealedThrough?: number
  /** the end of the log was reached, with what is not sealed yet */
  complete: boolean
  /** ms: how long the oldest row that is not sealed has waited; 0 = there is none */
  unsealedForMs: number
}

export interface VerifyOptions {
  database: Pick<Database, 'query' | 'clock'>
  keys: AuditKeys
  head: SealedHead
  /** goes on behind this seal, which an earlier page found good; 0 */
  after?: number
  /** rows, roughly: seals are looked at whole */
  limit: number
}

export async function verifyAudit({ database, keys, head, after = 0, limit }: VerifyOptions): Promise<AuditVerification> {
  let last: Seal | undefined = after > 0 ? await readSeal(database, after) : undefined
  let checked = 0
  const result = (rest: Pick<AuditVerification, 'broken' | 'complete'>, unsealedForMs = 0): AuditVerification => ({
    ...{ intact: rest.broken === undefined, checked, position: last?.position ?? 0, unsealedForMs, ...rest },
    ...(last && { sealedThrough: last.sealedAt.getTime() }),
  })
  if (after > 0 && !last) return result({ complete: false, broken: { id: null, why: `seal ${after} is missing` } })

  const seals = await readSeals(database, after, limit)
  for (const seal of seals) {
    const rows = await readRowsBetween(database, behind(last), behind(seal))
    const broken = checkSeal(keys, last, seal, rows)
    if (broken) return result({ complete: false, broken })
    last = seal
    checked += rows.length
  }
  const lost = await checkHead(database, head, last)
  if (lost) return result({ complete: false, broken: lost })
  const newest = await readLastSeal(database)
  if ((newest?.position ?? 0) > (last?.position ?? 0) || checked >= limit) return result({ complete: false })

  const unsealed = await readRowsBehind(database, behind(last), limit, false)
  for (const row of unsealed) {
    const broken = checkRow(keys, row)
    if (broken) return result({ complete: false, broken })
    checked++
  }
  const oldest = unsealed[0]
  const waiting = oldest ? Math.max(0, database.clock.now() - Date.parse(oldest.at!)) : 0
  return result({ complete: unsealed.length < limit }, waiting)
}

/** What is remembered outside the database must still be there, and the same. */
async function checkHead(
  database: Pick<Database, 'query'>,
  head: SealedHead,
  last: Seal | undefined,
): Promise<Break | undefined> {
  let known: Head | undefined
  try {
    known = await head.read()
  } catch (error) {
    return { id: null, why: `the remembered end of the log cannot be trusted: ${(error as Error).message}` }
  }
  if (!known) return undefined
  const stored = known.position === last?.position ? last : await readSeal(database, known.position)
  if (!stored) return { id: null, why: `the end of the log is missing: it reached seal ${known.position}` }
  if (Buffer.compare(stored.hash, known.hash) !== 0) {
    return { id: stored.ids[0] ?? null, why: `seal ${known.position} is not the one that was made` }
  }
  return undefined
}
