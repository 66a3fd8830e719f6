/** How many requests a minute one caller may make; counted in this process. */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

export interface RateState {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  /** until the window begins anew, ms */
  readonly resetMs: number
}

export interface RateLimit {
  /** Counts one request of `key`. */
  take(key: string): Promise<RateState>
}

export function createRateLimit(perMinute: number): RateLimit {
  const limiter = new RateLimiterMemory({ points: perMinute, duration: 60 })
  return {
    async take(key) {
      try {
        return state(await limiter.consume(key), true)
      } catch (refused) {
        if (refused instanceof RateLimiterRes) return state(refused, false)
        throw refused
      }
    },
  }
  function state(found: RateLimiterRes, allowed: boolean): RateState {
    return { allowed, limit: perMinute, remaining: found.remainingPoints, resetMs: found.msBeforeNext }
  }
}
