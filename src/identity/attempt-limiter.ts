/** Attempts to sign in, counted before a password is looked at (B3). One process counts for itself; a fleet hands in another. */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'

const WINDOW_S = 60
/** One address stands for a whole office: it may try this many accounts as often as one. */
const ACCOUNTS_PER_ADDRESS = 10
/** No account has a longer name: what was invented is not kept at length. */
const MAX_KEY_LENGTH = 300

export interface AttemptLimiter {
  /** Counts an attempt on an account from an address. Beyond the limit: when to come back, in ms. */
  attempt(address: string, account: string): Promise<{ ok: true } | { ok: false; retryAfterMs: number }>
}

/** `perMinute` attempts per address and account, and ten times that per address, so that trying many accounts is bounded too. */
export function localAttemptLimiter(perMinute: number): AttemptLimiter {
  const perAddress = new RateLimiterMemory({ points: perMinute * ACCOUNTS_PER_ADDRESS, duration: WINDOW_S })
  const perAccount = new RateLimiterMemory({ points: perMinute, duration: WINDOW_S })
  return {
    async attempt(address, account) {
      try {
        // The address first: what it refuses is not remembered by account, which bounds the memory one address can take.
        await perAddress.consume(address)
        await perAccount.consume(`${address} ${account.slice(0, MAX_KEY_LENGTH)}`)
        return { ok: true }
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal
        return { ok: false, retryAfterMs: Math.max(1, refusal.msBeforeNext) }
      }
    },
  }
}
