/** An input on its way into a mailbox, with what is stored beside it, and what became of it. */
import type { Logger } from '../log.ts'
import type { Input, InputResult } from './decide/input.ts'
import type { Snapshot } from './decide/snapshot.ts'
import { OfNewerRelease } from './programs.ts'
import type { Extras } from './encode.ts'

/** What became of a posted input; `snapshot` as it is now stored. */
export type Posted =
  | { result: InputResult; snapshot: Snapshot }
  | { result: 'missing' }
  | { result: 'limit' | 'noSlot' | 'mismatch' }
  | { result: 'replayed'; executionId: string }

export interface PostOptions {
  /** stored if the input is applied */
  extras?: Extras
  /** it goes before what workers commit */
  urgent?: boolean
  /** it must not be lost because the database is away, though nobody here holds the execution */
  keep?: boolean
  /** inputs that belong into the same transition */
  then?: readonly Input[]
}

export interface Post {
  input: Input
  /** stored if the input is applied */
  extras: Extras
  urgent: boolean
  keep?: boolean
  settle(posted: Posted): void
  abandon(error: unknown): void
}

/** Of what nobody waits for. What a newer release wrote is left to its workers, and that is told by whoever leaves it. */
export function silentPost(input: Input, log: Logger): Post {
  const abandon = (error: unknown): void => {
    if (!(error instanceof OfNewerRelease)) log.error({ err: error }, 'a transition was given up')
  }
  return { input, extras: {}, urgent: false, settle: () => {}, abandon }
}

export function settleAll(posts: readonly Post[], posted: Posted): void {
  for (const post of posts) post.settle(posted)
}
