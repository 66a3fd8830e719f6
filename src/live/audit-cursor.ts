/** The cursor of the audit feed: opaque outside; inside, a version, the position of a seal, and a piece of the seal's hash. */
import type { Head } from '../audit/seal.ts'
import { Fault } from '../errors.ts'

const HASH_BYTES = 8
/** Before the first seal, and where retention removed the one that would tell. */
export const NO_HASH = '0'.repeat(2 * HASH_BYTES)
const FORM = /^1:(0|[1-9]\d{0,14}):([0-9a-f]{16})$/

/** The place right after the seal at `position`; 0 = before the first. */
export const encodeAuditCursor = (position: number, hash: string): string =>
  Buffer.from(`1:${position}:${hash}`).toString('base64url')

/** Of whoever was told nothing yet: no seal's. */
export const NOTHING_TOLD = encodeAuditCursor(0, 'f'.repeat(2 * HASH_BYTES))

/** The end of the hash: it begins with the id of the key. */
export const cursorOf = (seal: Head | undefined): string =>
  seal
    ? encodeAuditCursor(seal.position, Buffer.from(seal.hash).subarray(-HASH_BYTES).toString('hex'))
    : encodeAuditCursor(0, NO_HASH)

/** The position in a cursor. Throws Fault BAD_CURSOR. */
export function positionIn(cursor: string): number {
  const [, digits = '', hash = ''] = FORM.exec(Buffer.from(cursor.slice(0, 100), 'base64url').toString('latin1')) ?? []
  // Base64 has many spellings of one text; encoding again leaves the one that we gave out.
  if (digits === '' || encodeAuditCursor(Number(digits), hash) !== cursor) throw new Fault('BAD_CURSOR')
  return Number(digits)
}
