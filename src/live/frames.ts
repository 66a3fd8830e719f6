/** What a feed says: its frames, as data, and how the rows of one read become frames. Pure. */
import type { Execution } from '../engine/entities/execution.ts'
import type { EventType } from '../engine/states.ts'
import type { Json } from '../language/values.ts'
import { encodeFeedCursor, isForeign } from './cursor.ts'
import type { FeedPlace } from './cursor.ts'

/** Why a feed ended, closed or has a gap. */
export const FEED_REASONS = {
  FINISHED: 'The execution has ended and all of its events were sent.',
  ACCESS_REVOKED: 'It is gone, or you may not see it any more.',
  TOKEN_EXPIRED: 'The access token is at its end: connect again with a new one, and resume after `cursor`.',
  DRAINING: 'This server is going down: connect again, and resume after `cursor`.',
  RETENTION: 'Events after your cursor were removed, being older than their retention.',
  TOO_MANY_CHANGES: 'More has changed than a feed passes on one by one: what follows is how it is now.',
  RESTORED:
    'Your cursor is of another database than this one, which was restored from a backup: drop what you have, a snapshot follows.',
} as const
export type FeedReason = keyof typeof FEED_REASONS
export type CloseReason = 'ACCESS_REVOKED' | 'TOKEN_EXPIRED' | 'DRAINING'

/** One fact in an execution's history. */
export interface FeedEvent {
  readonly seq: number
  readonly type: EventType
  readonly at: Date
  readonly step: string | null
  readonly path: string | null
  readonly attempt: number | null
  readonly data: Json
  /** JSON pointers to what is masked in `data` */
  readonly redacted: readonly string[]
}

/** What every feed may say, whatever is followed. */
export type CommonFrame =
  | { readonly kind: 'heartbeat'; readonly cursor: string; readonly serverTime: Date }
  | { readonly kind: 'gap'; readonly cursor: string; readonly reason: FeedReason }
  | { readonly kind: 'closed'; readonly cursor: string; readonly reason: CloseReason }

/** `execution` is never older than `cursor`; it is shared between readers and belongs to no entity manager. */
export type ExecutionFrame =
  | CommonFrame
  | { readonly kind: 'snapshot'; readonly cursor: string; readonly execution: Execution }
  | { readonly kind: 'delta'; readonly cursor: string; readonly execution: Execution; readonly events: readonly FeedEvent[] }
  | { readonly kind: 'end'; readonly cursor: string; readonly reason: FeedReason; readonly execution: Execution }

/** An execution and the events that follow a place in its history, all as of one moment. */
export interface ExecutionPage {
  readonly execution: Execution
  /** in the order of `seq`, at most as many as were asked for */
  readonly events: readonly FeedEvent[]
  /** of the database that they were read from */
  readonly epoch: string
}

/** What a reader at one place gets from a page, and where that takes it. */
export interface Advance {
  readonly frames: readonly ExecutionFrame[]
  /** the seq of the last event the reader has now */
  readonly position: number
}

/**
 * The frames for a reader that has all events up to `from` (undefined: nothing yet, it wants a snapshot).
 * A gap has the cursor that the reader came with, so that whoever is cut off behind it gets both again; then come a snapshot and whatever
 * events are left. `conflate`: the reader wants
 * no events, none were read, and the next state is all there is to say.
 */
export function advance(from: FeedPlace | undefined, { execution, events, epoch }: ExecutionPage, conflate = false): Advance {
  const { id, seq: last } = execution
  const frames: ExecutionFrame[] = []
  const cursorAt = (seq: number) => encodeFeedCursor(id, { seq, epoch })
  const show = (at: number) => frames.push({ kind: 'snapshot', cursor: cursorAt(at), execution })
  const skip = (after: FeedPlace, reason: FeedReason) => frames.push({ kind: 'gap', cursor: encodeFeedCursor(id, after), reason })
  let position = last

  if (from === undefined) {
    show(last)
  } else if (from.seq > last || isForeign(from, epoch)) {
    skip(from, 'RESTORED')
    show(last)
  } else if (from.seq < last && conflate) {
    frames.push({ kind: 'delta', cursor: cursorAt(last), execution, events })
  } else if (from.seq < last) {
    const next = unbroken(from.seq, events)
    position = next.at(-1)?.seq ?? (events[0] ? events[0].seq - 1 : last)
    if (next.length > 0) frames.push({ kind: 'delta', cursor: cursorAt(position), execution, events: next })
    else {
      skip(from, 'RETENTION')
      show(position)
    }
  }
  if (position === last && execution.endedAt !== null) {
    frames.push({ kind: 'end', cursor: cursorAt(last), reason: 'FINISHED', execution })
  }
  return { frames, position }
}

/** The events that follow `from` without a hole; a hole further on is the next read's gap. */
function unbroken(from: number, events: readonly FeedEvent[]): readonly FeedEvent[] {
  const hole = events.findIndex((event, index) => event.seq !== from + 1 + index)
  return hole === -1 ? events : events.slice(0, hole)
}
