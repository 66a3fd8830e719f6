/** What a seal says, and the text that its hash covers: the chain that shows what was edited, cut, added or moved (C7). */
import type { AuditKeys, SignatureVerdict } from './audit-keys.ts'
import { signedText } from './audit-entry.ts'
import type { AuditContent } from './audit-entry.ts'

/** A row of the log as the chain sees it; `xid` is PostgreSQL's number of the transaction that wrote it. */
export interface SealedRow extends AuditContent {
  readonly xid: string
  readonly mac: Uint8Array | null
}

/** Holds rows together, in the order of (xid, id); it follows the seal at `position - 1`. */
export interface Seal {
  /** from 1 on, without gaps */
  readonly position: number
  readonly ids: readonly string[]
  readonly lastXid: string
  readonly hash: Uint8Array
  /** database time, whole ms */
  readonly sealedAt: Date
}

/** The end of the chain at some time. */
export type Head = Pick<Seal, 'position' | 'hash'>

/** A seal over `rows`, which are at least one. */
export function makeSeal(
  keys: Pick<AuditKeys, 'sign'>,
  before: Head | undefined,
  rows: readonly SealedRow[],
  sealedAt: Date,
): Seal {
  const position = (before?.position ?? 0) + 1
  return {
    position,
    ids: rows.map(({ id }) => id!),
    lastXid: rows.at(-1)!.xid,
    hash: keys.sign(sealText(position, before?.hash, rows, sealedAt)),
    sealedAt,
  }
}

/** Why a seal and the rows that lie in its range do not fit. */
export interface Break {
  /** the first row that is not as it was, or is missing; null: nothing says which it was */
  readonly id: string | null
  readonly why: string
}

/** undefined = all is as it was sealed. `rows`: all that lie behind the seal before and up to this one, in order. */
export function checkSeal(keys: AuditKeys, before: Head | undefined, seal: Seal, rows: readonly SealedRow[]): Break | undefined {
  const position = (before?.position ?? 0) + 1
  if (seal.position !== position) return { id: seal.ids[0] ?? null, why: `seal ${position} is missing` }
  for (let index = 0; index < Math.max(rows.length, seal.ids.length); index++) {
    const row = rows[index]
    const id = seal.ids[index]
    if (id === undefined) return { id: row!.id!, why: 'was added after its neighbours were sealed' }
    if (row?.id !== id) {
      const added = row !== undefined && !seal.ids.includes(row.id!)
      return added ? { id: row.id!, why: 'was added after its neighbours were sealed' } : { id, why: 'is missing or was moved' }
    }
    const broken = checkRow(keys, row)
    if (broken) return broken
  }
  const text = sealText(position, before?.hash, rows, seal.sealedAt)
  const verdict = rows.at(-1)?.xid === seal.lastXid ? keys.check(text, seal.hash) : 'TAMPERED'
  return verdict === 'GOOD' ? undefined : { id: seal.ids[0] ?? null, why: `seal ${position} ${WHY[verdict]}` }
}

/** A row by itself, sealed or not. */
export function checkRow(keys: AuditKeys, row: SealedRow): Break | undefined {
  const verdict = keys.check(signedText(row), row.mac)
  return verdict === 'GOOD' ? undefined : { id: row.id!, why: WHY[verdict] }
}

export const WHY: Record<Exclude<SignatureVerdict, 'GOOD'>, string> = {
  TAMPERED: 'was changed, or was not written by Sluice',
  UNKNOWN_KEY: 'was signed by a key that is not configured',
}

function sealText(position: number, before: Uint8Array | undefined, rows: readonly SealedRow[], sealedAt: Date): string {
  return JSON.stringify([
    ...[1, position, before ? hex(before) : null, sealedAt.getTime()],
    rows.map(({ id, xid, mac }) => [id, xid, mac ? hex(mac) : null]),
  ])
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
