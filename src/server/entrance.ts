/** Who comes in: from what a request says to a principal, so that trying tokens is bounded by address. */
import { LRUCache } from 'lru-cache'
import { Fault } from '../errors.ts'
import { addressKey } from '../fleet/address-key.ts'
import type { LimitState } from '../fleet/limiter.ts'
import type { Authenticate } from '../identity/authenticate.ts'
import type { Principal } from '../identity/principal.ts'
import { principalOf } from './caller.ts'
import { rateLimited } from './request-limits.ts'
import type { Asker, RequestLimits } from './request-limits.ts'

const REMEMBERED = 10_000

export interface Newcomer extends Pick<Asker, 'origin'> {
  /** told the state of a limit that refuses */
  readonly onRate?: (state: LimitState) => void
}

/** As `principalOf`; throws RATE_LIMITED too. */
export type Enter = (newcomer: Newcomer, authorization: string | undefined) => Promise<Principal | undefined>

/**
 * A token that was never good here counts as a wrong one of its address until it turns out to be good: when there were too many, no
 * work is done on it. One that was good before is asked about whatever else comes from its address, so that nobody is locked out by
 * who shares it.
 */
export function createEntrance(limits: RequestLimits, authenticate: Authenticate): Enter {
  const good = new LRUCache<string, true>({ max: REMEMBERED })

  return async (newcomer, authorization) => {
    if (authorization === undefined) return undefined
    const address = addressKey(newcomer.origin.ip)
    const isKnown = good.has(authorization)
    const state = isKnown ? undefined : await limits.wrongTokens.take(address)
    if (state && !state.allowed) throw refused(newcomer, state)
    try {
      const principal = await principalOf(authorization, authenticate)
      good.set(authorization, true)
      if (!isKnown) await limits.wrongTokens.giveBack(address, 1)
      return principal
    } catch (error) {
      const isWrong = error instanceof Fault && error.code === 'UNAUTHENTICATED'
      if (isWrong) good.delete(authorization)
      if (isWrong && isKnown) await limits.wrongTokens.take(address)
      if (!isWrong && !isKnown) await limits.wrongTokens.giveBack(address, 1)
      throw error
    }
  }
}

function refused({ onRate }: Newcomer, state: LimitState): Fault {
  onRate?.(state)
  return rateLimited(state)
}
