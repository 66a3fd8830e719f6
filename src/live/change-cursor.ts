/** The cursor of feeds of many things: opaque outside; inside, a version, the installation, and the last commit that was seen. */
import { Fault } from '../errors.ts'

/** A place in the order of commits. */
export interface ChangePlace {
  /** which database this is: another after a restore */
  readonly epoch: string
  /** of PostgreSQL, as it counts transactions; decimal */
  readonly xid: string
}

const FORM = /^1:([0-9a-f]{12}):(0|[1-9]\d{0,18})$/

export const encodeChangeCursor = ({ epoch, xid }: ChangePlace): string => Buffer.from(`1:${epoch}:${xid}`).toString('base64url')

/** Of whoever was told nothing yet: another database's, so that a server which does not know it shows everything too. */
export const NOTHING_TOLD = encodeChangeCursor({ epoch: '0'.repeat(12), xid: '0' })

/** Throws Fault BAD_CURSOR. */
export function decodeChangeCursor(cursor: string): ChangePlace {
  const [, epoch = '', xid = ''] = FORM.exec(Buffer.from(cursor.slice(0, 100), 'base64url').toString('latin1')) ?? []
  // Base64 has many spellings of one text; encoding again leaves the one that we gave out.
  if (epoch === '' || encodeChangeCursor({ epoch, xid }) !== cursor) throw new Fault('BAD_CURSOR')
  return { epoch, xid }
}

/** Below 0 when `a` comes before `b`. */
export function compareChangeCursors(a: string, b: string): number {
  const [first, second] = [BigInt(decodeChangeCursor(a).xid), BigInt(decodeChangeCursor(b).xid)]
  return first < second ? -1 : first > second ? 1 : 0
}
