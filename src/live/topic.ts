/** What can be followed, and what whoever follows it gets: every feed is a topic, and one mechanism (groups) serves them all. */
import type { AuthSubject } from '../identity/auth-changes.ts'
import type { Principal } from '../identity/principal.ts'

/** One message of a feed. `cursor` is opaque outside: the place right after it. */
export interface Frame {
  readonly kind: string
  readonly cursor: string
}

/** What follows a place, as of one moment. */
export interface Page<F extends Frame> {
  /** empty: nothing, or nothing for whoever follows this topic: then the cursor has moved on */
  readonly frames: readonly F[]
  /** the place after them */
  readonly cursor: string
  /** more was there than fits */
  readonly more: boolean
  /** nothing will ever follow, and the last frame says so */
  readonly ends: boolean
}

export interface ReadOptions {
  /** not beyond this cursor */
  readonly upTo?: string
  /** only the state is wanted: what happened on the way to it is left out */
  readonly conflate: boolean
  /** what was shown before `after` is shown anew, as it is now: by a snapshot that leaves the place as it is, with more to follow */
  readonly anew?: boolean
}

export interface Topic<F extends Frame = Frame> {
  readonly kind: TopicKind
  /** two topics with one key show everybody the same */
  readonly key: string
  /** on the bus, what rings when something follows */
  readonly bell: string
  /** what else than the principal may change who may follow it */
  readonly subjects: readonly AuthSubject[]
  /** Before anything was read: whoever resumes after it is shown everything. The same for whoever follows. */
  readonly start: string
  /** At most some hundreds of changes. `after` undefined: a snapshot. Undefined: it is gone. Throws Fault BAD_CURSOR. */
  read(after: string | undefined, options: ReadOptions): Promise<Page<F> | undefined>
  /** below 0 when `a` comes before `b` */
  compare(a: string, b: string): number
  /** whether a ring with this payload tells of something after the cursor; in doubt it does */
  isNews(cursor: string, payload: string | undefined): boolean
  /** What is shown is what somebody has rights on: when one of `subjects` changes, a snapshot takes the place of what was shown. */
  readonly showsByRights?: boolean
  /** What it is for somebody else, where what is shown depends on who looks. */
  seenBy?(principal: Principal): Topic<F>
}

/** What all topics of a kind are asked together. */
export interface TopicKind {
  readonly name: string
  /** The newest cursor of each, undefined when it is gone: what the slow poll compares, so that a lost ring costs a second. One statement. */
  newest(topics: readonly Topic[]): Promise<readonly (string | undefined)[]>
  /** Whether each may be followed by each. One statement, read anew. */
  mayFollow(asked: readonly { principal: Principal; topic: Topic }[]): Promise<readonly boolean[]>
}
