/** Attempts to sign in, counted before a password is looked at (B3). */
import { createHash } from 'node:crypto'
import { addressKey } from '../fleet/address-key.ts'
import type { CreateLimiter } from '../fleet/limiter.ts'

/** One address stands for a whole office: it may try this many accounts as often as one. */
const ACCOUNTS_PER_ADDRESS = 10

export interface AttemptLimiter {
  /** Counts an attempt on an account from an address. Beyond the limit: when to come back, in ms. */
  attempt(address: string | undefined, account: string): Promise<{ ok: true } | { ok: false; retryAfterMs: number }>
}

/**
 * `perMinute` attempts per address and account, and ten times that per address, so that trying many accounts is bounded too. No
 * account is limited as such: whoever wanted to lock somebody out would only have to fail in their name. `name` keeps kinds of
 * attempts apart.
 */
export function createAttemptLimiter(createLimiter: CreateLimiter, perMinute: number, name = 'sign-in'): AttemptLimiter {
  const perAddress = createLimiter({ name: `${name}-address`, points: perMinute * ACCOUNTS_PER_ADDRESS })
  const perAccount = createLimiter({ name: `${name}-account`, points: perMinute })
  return {
    async attempt(address, account) {
      const from = addressKey(address)
      // The address first: what it refuses is not remembered by account, which bounds what one address can make us keep.
      const state = await perAddress.take(from)
      const { allowed, resetMs } = state.allowed ? await perAccount.take(`${from} ${digest(account)}`) : state
      return allowed ? { ok: true } : { ok: false, retryAfterMs: resetMs }
    },
  }
}

/** What was typed may be long and may be an e-mail: neither is kept. */
const digest = (account: string): string => createHash('sha256').update(account).digest('base64url')
