/** Walks the chain of the audit log and says where it breaks: a page at a time, from any seal on. */
import type { Database } from '../database/database.ts'
import type { AuditKeys } from './audit-keys.ts'
import { checkCheckpoint, lastSealOf } from './checkpoint.ts'
import type { Checkpoint } from './checkpoint.ts'
import {
  behind,
  findBefore,
  readCheckpoint,
  readLastSeal,
  readRowsBehind,
  readRowsBetween,
  readSeal,
  readSeals,
} from './read-chain.ts'
import type { ChainPlace } from './read-chain.ts'
import { checkRow, checkSeal } from './seal.ts'
import type { Break, Seal } from './seal.ts'
import type { KnownHead, SealedHead } from './sealed-head.ts'

export interface AuditVerification {
  /** nothing that was looked at is broken */
  intact: boolean
  /** rows that were looked at */
  checked: number
  broken?: Break
  /** the last seal that was found good; 0 = none */
  position: number
  /** where the log begins, when some of it was removed by its age */
  checkpoint?: Checkpoint
  /** among what is not sealed yet; else go on behind `position` */
  place?: VerifiedPlace
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
  /** goes on behind what an earlier page found good; the beginning */
  after?: VerifiedPlace
  /** rows, roughly: seals are looked at whole */
  limit: number
}

/** Where a page ended. */
export interface VerifiedPlace {
  /** 0 = nothing is sealed before it */
  readonly position: number
  /** behind this row, of those that were not sealed yet */
  readonly row?: ChainPlace | undefined
}

export async function verifyAudit(options: VerifyOptions): Promise<AuditVerification> {
  for (;;) {
    const checkpoint = await readCheckpoint(options.database)
    const found = await verifyPage(options, checkpoint)
    // retention may have removed what was being looked at: the log begins elsewhere then
    if (!found.broken || (await readCheckpoint(options.database))?.position === checkpoint?.position) return found
  }
}

async function verifyPage(
  { database, keys, head, after = { position: 0 }, limit }: VerifyOptions,
  checkpoint: Checkpoint | undefined,
): Promise<AuditVerification> {
  const begins = checkpoint && lastSealOf(checkpoint)
  let last: Seal | undefined = after.position > (begins?.position ?? 0) ? await readSeal(database, after.position) : begins
  let checked = 0
  const result = (rest: Pick<AuditVerification, 'broken' | 'complete' | 'place'>, unsealedForMs = 0): AuditVerification => ({
    ...{ intact: rest.broken === undefined, checked, position: last?.position ?? 0, unsealedForMs, ...rest },
    ...(last && { sealedThrough: last.sealedAt.getTime() }),
    ...(checkpoint && { checkpoint }),
  })
  const wrong = checkpoint && (checkCheckpoint(keys, checkpoint) ?? (await checkBefore(database, checkpoint)))
  if (wrong) return result({ complete: false, broken: wrong })
  if (after.position > 0 && !last)
    return result({ complete: false, broken: { id: null, why: `seal ${after.position} is missing` } })

  for (const seal of await readSeals(database, last?.position ?? 0, limit)) {
    const rows = await readRowsBetween(database, behind(last), behind(seal))
    const broken = checkSeal(keys, last, seal, rows)
    if (broken) return result({ complete: false, broken })
    last = seal
    checked += rows.length
  }
  const lost = await checkHead(database, head, last, checkpoint)
  if (lost) return result({ complete: false, broken: lost })
  const newest = await readLastSeal(database)
  if ((newest?.position ?? 0) > (last?.position ?? 0) || checked >= limit) return result({ complete: false })

  const [oldest] = await readRowsBehind(database, behind(last), 1, false)
  const waiting = oldest ? Math.max(0, database.clock.now() - Date.parse(oldest.at!)) : 0
  // what was sealed meanwhile is looked at again, as a part of the chain
  const from = after.row && after.position === (last?.position ?? 0) ? after.row : behind(last)
  const unsealed = await readRowsBehind(database, from, limit, false)
  for (const row of unsealed) {
    const broken = checkRow(keys, row)
    if (broken) return result({ complete: false, broken })
    checked++
  }
  const row = unsealed.at(-1)
  const place = row && { position: last?.position ?? 0, row: { xid: row.xid, id: row.id! } }
  return result({ complete: unsealed.length < limit, ...(place && { place }) }, waiting)
}

/** Nothing may lie before the beginning. */
async function checkBefore(database: Pick<Database, 'query'>, checkpoint: Checkpoint): Promise<Break | undefined> {
  const found = await findBefore(database, checkpoint)
  return found && { id: found.id, why: `was added before the beginning of the log, which is behind seal ${checkpoint.position}` }
}

/** What is remembered outside the database must still be there, and the same. */
async function checkHead(
  database: Pick<Database, 'query'>,
  head: SealedHead,
  last: Seal | undefined,
  checkpoint: Checkpoint | undefined,
): Promise<Break | undefined> {
  let known: KnownHead | undefined
  try {
    known = await head.read()
  } catch (error) {
    return { id: null, why: `the remembered end of the log cannot be trusted: ${(error as Error).message}` }
  }
  if (!known) return undefined
  const begins = checkpoint?.position ?? 0
  if (known.checkpoint > begins) {
    return { id: null, why: `the checkpoint is not the newest: the log begins behind seal ${known.checkpoint}` }
  }
  if (known.position < begins) return undefined
  const stored = [last, checkpoint].find((one) => one?.position === known.position) ?? (await readSeal(database, known.position))
  if (!stored) return { id: null, why: `the end of the log is missing: it reached seal ${known.position}` }
  if (Buffer.compare(stored.hash, known.hash) !== 0) {
    const id = 'ids' in stored ? (stored.ids[0] ?? null) : null
    return { id, why: `seal ${known.position} is not the one that was made` }
  }
  return undefined
}
