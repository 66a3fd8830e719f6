/** What waits for one execution, and what is known of it (mailboxes.ts). */
import type { Snapshot } from './decide/snapshot.ts'
import type { Post } from './post.ts'

export interface Mailbox {
  readonly id: string
  /** undefined: to be read before the next transition */
  snapshot: Snapshot | undefined
  posts: Post[]
  busy: boolean
  /** words of other executions may wait for it */
  unread: boolean
  /** dropped while it was busy: whatever its transition says, it is not held when that is over */
  dropped: boolean
  /** somebody else may have changed it since: what is remembered goes before the next transition */
  stale: boolean
}

export const emptyMailbox = (id: string): Mailbox => ({
  ...{ id, snapshot: undefined, posts: [], busy: false, unread: false, dropped: false, stale: false },
})
