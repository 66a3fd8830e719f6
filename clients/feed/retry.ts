/** When to come back, and when not to. */
import type { FeedError } from './state.ts'

export interface RetryTimes {
  /** before the first try, at most; doubled with each that fails */
  readonly firstMs: number
  readonly longestMs: number
}

export const RETRY_TIMES: RetryTimes = { firstMs: 500, longestMs: 30_000 }

/**
 * How long to wait after so many tries without a frame. All of it is chance ("full jitter"), so that the clients of a server that went away do
 * not all come back at the same moment. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function waitMs(failures: number, { firstMs, longestMs }: RetryTimes, random: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(failures, 30)) * random
}

/** Faults that pass. All others (no such execution, a document that is not valid ...) stay. */
const PASSING = new Set(['INTERNAL', 'UNAVAILABLE', 'RATE_LIMITED'])

export interface Judgement {
  readonly final: boolean
  readonly expired: boolean
  /** the server's word, 0 = none */
  readonly waitMs: number
}

export function judge(errors: readonly FeedError[]): Judgement {
  const { code, reason, retryAfterMs } = errors[0]?.extensions ?? {}
  const expired = code === 'UNAUTHENTICATED' && reason === 'EXPIRED'
  return {
    final: !expired && !PASSING.has(String(code)),
    expired,
    waitMs: typeof retryAfterMs === 'number' ? retryAfterMs : 0,
  }
}
