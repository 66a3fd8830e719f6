/**
 * The cursor of an execution's feed: opaque outside; inside, a version, the installation, the execution, and the seq of the last event that
 * was seen. Version 1, which was given out before, does not name the installation.
 */
import { Fault } from '../errors.ts'

const FORM = /^(?:1|2:([0-9a-f]{12})):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):(0|[1-9]\d{0,9})$/
const LARGEST_SEQ = 2 ** 31 - 1

/** A place in the history of one execution. */
export interface FeedPlace {
  /** of the last event that was seen; 0 = before its first event */
  readonly seq: number
  /** which database's history it is: another after a restore; undefined: nobody knows */
  readonly epoch: string | undefined
}

/** `executionId`: a UUID. */
export function encodeFeedCursor(executionId: string, { seq, epoch }: FeedPlace): string {
  return Buffer.from(`${epoch === undefined ? '1' : `2:${epoch}`}:${executionId}:${seq}`).toString('base64url')
}

/** The place in a cursor of this execution's feed. Throws Fault BAD_CURSOR when it is malformed or of another execution. */
export function decodeFeedCursor(cursor: string, executionId: string): FeedPlace {
  const [, epoch, id, digits] = FORM.exec(Buffer.from(cursor.slice(0, 100), 'base64url').toString('latin1')) ?? []
  const place = { seq: Number(digits), epoch }
  // Base64 has many spellings of one text; encoding again leaves the one that we gave out.
  if (id !== executionId || place.seq > LARGEST_SEQ || encodeFeedCursor(executionId, place) !== cursor)
    throw new Fault('BAD_CURSOR')
  return place
}

/** Whether the history that the cursor is a place of may be another one than this database's, whatever its seq. */
export const isForeign = ({ epoch }: FeedPlace, here: string): boolean => epoch !== undefined && epoch !== here
