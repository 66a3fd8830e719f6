/** How much the API may be asked: by each address until it is known who asks, by each principal from then on (B3). */
import type { Caller } from '../api/context.ts'
import { Fault } from '../errors.ts'
import { addressKey } from '../fleet/address-key.ts'
import type { CreateLimiter, Limiter, LimitState } from '../fleet/limiter.ts'

export type Asker = Pick<Caller, 'principal' | 'origin'>

export interface RequestLimits {
  /** Counts a request of a principal, or of an address where there is none. `points`: as how many it counts (1). */
  take(asker: Asker, points?: number): Promise<LimitState>
  /** Refused for now, as far as is known without asking. */
  spent(asker: Asker): LimitState | undefined
  /** tokens that turned out to be wrong, by address */
  readonly wrongTokens: Limiter
  /** requests to webhooks that are not there, or are not signed for them, by address */
  readonly wrongWebhooks: Limiter
  /** sockets opened, by principal */
  readonly sockets: Limiter
}

export const keyOf = ({ principal, origin }: Asker): string => principal?.actsAs ?? addressKey(origin.ip)

/**
 * All sessions and keys of one user count together, and all addresses of one IPv6 network. Each kind has a count of its own: what
 * somebody does without a name, or with wrong tokens, takes nothing from others at the same address, and no number of invented
 * addresses makes a principal's count forgotten.
 */
export function createRequestLimits(createLimiter: CreateLimiter, perMinute: number): RequestLimits {
  const byPrincipal = createLimiter({ name: 'api-principal', points: perMinute })
  const byAddress = createLimiter({ name: 'api-address', points: perMinute })
  const limiterOf = ({ principal }: Asker) => (principal ? byPrincipal : byAddress)
  return {
    take: (asker, points) => limiterOf(asker).take(keyOf(asker), points),
    spent: (asker) => limiterOf(asker).spent(keyOf(asker)),
    wrongTokens: createLimiter({ name: 'token-address', points: perMinute }),
    wrongWebhooks: createLimiter({ name: 'webhook-address', points: perMinute }),
    sockets: createLimiter({ name: 'socket-principal', points: perMinute }),
  }
}

/** An operation counts as one request for each of these that it begins. */
const COST_OF_A_REQUEST = 1_000

/** What an operation counts beyond the request that it is. Never more than a minute has, or it could not be asked at all. */
export const pointsBeyond = (cost: number, { limit }: LimitState): number =>
  Math.min(Math.max(1, Math.ceil(cost / COST_OF_A_REQUEST)), limit) - 1

export const rateLimited = ({ limit, remaining, resetMs }: LimitState, detail?: string): Fault =>
  new Fault('RATE_LIMITED', detail, { extensions: { limit, remaining, retryAfterMs: resetMs } })
