/** Limits that all processes of a fleet count together, in Redis; while it is away each counts for itself, in memory. */
import { LRUCache } from 'lru-cache'
import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { Logger } from '../log.ts'
import { WINDOW_SECONDS } from './limiter.ts'
import type { CreateLimiter, Limiter, LimitRule, LimitState } from './limiter.ts'
import { createMemoryLimiter } from './memory-limiter.ts'
import type { RedisClient, RedisConnection } from './redis-connection.ts'

/** After a failure Redis is left alone for this long, so that requests do not all wait for one that hangs. */
const REST_MS = 1_000
/** A key that was refused is not asked about again for this long: a flood stays in the process that it reaches. */
const REMEMBER_REFUSED_MS = 1_000
const MAX_REFUSED = 10_000

/**
 * What is taken, and the rest of the window in ms. What no server wrote (no number of points, a window that ends never, or later than one
 * that begins now) is none: nobody is kept out for longer than a window, and one key that is broken breaks no other.
 */
const STATE = `
local function state(key, seconds)
  local text = redis.pcall('get', key)
  local rest = redis.call('pttl', key)
  local taken = type(text) == 'string' and string.match(text, '^%d+$') and #text < 16 and tonumber(text) or nil
  if taken and rest > 0 and rest <= seconds * 1000 then return taken, rest end
  if text then redis.call('del', key) end
  return 0, 0
end`

/**
 * Takes ARGV[1] points of ARGV[3], all or none; a negative number gives back, and begins no window. Answers what is taken now, or
 * would be, and the rest of the window in ms; a window has ARGV[2] seconds.
 */
const TAKE = `${STATE}
local points, seconds, limit = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local taken, rest = state(KEYS[1], seconds)
if rest == 0 then
  rest = seconds * 1000
  if points > 0 and points <= limit then redis.call('set', KEYS[1], 0, 'EX', seconds) end
end
if points > 0 and taken + points <= limit then redis.call('incrby', KEYS[1], points) end
if points < 0 and taken > 0 then redis.call('incrby', KEYS[1], math.max(points, -taken)) end
return { taken + points, rest }`

/** The same, without taking any. ARGV: the seconds of a window. */
const LOOK = `${STATE}
return { state(KEYS[1], ARGV[1]) }`

export interface RedisLimiterOptions {
  readonly redis: Pick<RedisConnection, 'client'>
  readonly log: Logger
  readonly registry: Registry
}

/** Keys are `sluice:limit:<name>:<key>` and end by themselves. */
export function createRedisLimiters({ redis, log, registry }: RedisLimiterOptions): CreateLimiter {
  const registers = [registry]
  const failures = new Counter({
    name: 'sluice_limits_store_failures_total',
    help: 'Times that the shared store of limits did not answer.',
    registers,
  })
  const insured = new Gauge({
    name: 'sluice_limits_insured',
    help: '1 while this process counts limits for itself, since the shared store does not answer.',
    registers,
  })
  let restsUntil = 0
  let isAway = false

  /** What Redis says, or what `insurance` says while it is away. Said once when it goes and once when it is back. */
  async function ask<T>(question: (client: RedisClient) => Promise<T>, insurance: () => Promise<T>): Promise<T> {
    if (performance.now() < restsUntil) return insurance()
    try {
      if (!redis.client) throw new Error('no connection')
      const answer = await question(redis.client)
      if (isAway) log.info('limits are counted in Redis again')
      isAway = false
      insured.set(0)
      return answer
    } catch (error) {
      failures.inc()
      restsUntil = performance.now() + REST_MS
      if (!isAway) log.warn({ why: (error as Error).message }, 'Redis is away: limits are counted by each process for itself')
      isAway = true
      insured.set(1)
      return insurance()
    }
  }

  return (rule) => createRedisLimiter(rule, ask)
}

type Ask = <T>(question: (client: RedisClient) => Promise<T>, insurance: () => Promise<T>) => Promise<T>

function createRedisLimiter(rule: LimitRule, ask: Ask): Limiter {
  const { name, points: limit, windowSeconds: duration = WINDOW_SECONDS } = rule
  const insurance = createMemoryLimiter(rule)
  let counter: RateLimiterRedis | undefined
  const sharedAt = (client: RedisClient): RateLimiterRedis =>
    (counter ??= new RateLimiterRedis({
      storeClient: client,
      keyPrefix: `sluice:limit:${name}`,
      points: limit,
      duration,
      customIncrTtlLuaScript: TAKE,
    }))
  const refused = new LRUCache<string, { resetsAt: number; until: number }>({ max: rule.keys ?? MAX_REFUSED })

  function spent(key: string): LimitState | undefined {
    const known = refused.get(key)
    const now = performance.now()
    if (!known || known.until <= now) return insurance.spent(key)
    return { allowed: false, limit, remaining: 0, resetMs: Math.max(1, Math.ceil(known.resetsAt - now)) }
  }

  function remember(key: string, resetMs: number): void {
    const now = performance.now()
    refused.set(key, { resetsAt: now + resetMs, until: now + Math.min(resetMs, REMEMBER_REFUSED_MS) })
  }

  async function takeShared(shared: RateLimiterRedis, key: string, points: number): Promise<LimitState> {
    const found = await shared.consume(key, points).catch((answer: unknown) => {
      if (answer instanceof RateLimiterRes) return answer
      throw answer
    })
    const allowed = found.consumedPoints <= limit
    const taken = allowed ? found.consumedPoints : found.consumedPoints - points
    const state = { allowed, limit, remaining: limit - taken, resetMs: Math.max(1, found.msBeforeNext) }
    if (!allowed && state.remaining === 0) remember(key, state.resetMs)
    return state
  }

  async function lookShared(client: RedisClient, key: string): Promise<LimitState> {
    const [taken, rest] = (await client.eval(LOOK, 1, sharedAt(client).getKey(key), duration)) as [number, number]
    const remaining = Math.max(0, limit - taken)
    return { allowed: remaining > 0, limit, remaining, resetMs: rest || duration * 1_000 }
  }

  return {
    async take(key, points = 1) {
      return (
        spent(key) ??
        ask(
          (client) => takeShared(sharedAt(client), key, points),
          () => insurance.take(key, points),
        )
      )
    },
    async look(key) {
      return (
        spent(key) ??
        ask(
          (client) => lookShared(client, key),
          () => insurance.look(key),
        )
      )
    },
    async giveBack(key, points) {
      refused.delete(key)
      await ask(
        (client) =>
          sharedAt(client)
            .consume(key, -points)
            .then(() => undefined),
        () => insurance.giveBack(key, points),
      )
    },
    spent,
  }
}
