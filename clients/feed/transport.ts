/** What a feed asks of the way that its frames come: a WebSocket, or server-sent events. */
import type { FeedError } from './state.ts'

export interface Operation {
  readonly query: string
  readonly variables: Readonly<Record<string, unknown>>
}

export interface Result {
  readonly data?: Readonly<Record<string, unknown>> | null
  readonly errors?: readonly FeedError[]
}

/**
 * How a subscription ended. `completed`: the server said so, nothing follows. `refused`: it answered with errors. `lost`: the
 * connection is gone; `final` when coming back is of no use.
 */
export type Outcome =
  | { readonly how: 'completed' }
  | { readonly how: 'refused'; readonly errors: readonly FeedError[] }
  | { readonly how: 'lost'; readonly why: string; readonly final?: boolean }

export interface Sink {
  /** the connection is there, and nothing was said against it yet */
  open(): void
  next(result: Result): void
  /** once, and nothing after it */
  over(outcome: Outcome): void
}

export interface Transport {
  /** Nothing is told before it returns. What it returns ends the subscription; nothing is told after that. */
  subscribe(operation: Operation, sink: Sink): () => void
  /** The next subscription needs a new connection; `expired`: and another token. */
  renew(expired: boolean): void
}

/**
 * The access token, asked for each time that a connection is made. `expired`: the last one is not good any more. Throw a
 * `SessionOver` when there will be none; whatever else it throws is tried again.
 */
export type GetToken = (expired: boolean) => string | Promise<string>

/** Whoever follows has to sign in again. */
export class SessionOver extends Error {
  override name = 'SessionOver'
}
