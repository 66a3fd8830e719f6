/** The cursor of an execution's feed: opaque outside; inside, a version, the execution and the seq of the last event that was seen. */
import { Fault } from '../errors.ts'

const FORM = /^1:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(0|[1-9]\d{0,9})$/
const LARGEST_SEQ = 2 ** 31 - 1

/** The place right after event `seq` of the execution (a UUID); 0 = before its first event. */
export function encodeFeedCursor(executionId: string, seq: number): string {
  return Buffer.from(`1:${executionId}:${seq}`).toString('base64url')
}

/** The seq in a cursor of this execution's feed. Throws Fault BAD_CURSOR when it is malformed or of another execution. */
export function decodeFeedCursor(cursor: string, executionId: string): number {
  const [, id, digits] = FORM.exec(Buffer.from(cursor.slice(0, 100), 'base64url').toString('latin1')) ?? []
  const seq = Number(digits)
  // Base64 has many spellings of one text; encoding again leaves the one that we gave out.
  if (id !== executionId || seq > LARGEST_SEQ || encodeFeedCursor(executionId, seq) !== cursor) throw new Fault('BAD_CURSOR')
  return seq
}
