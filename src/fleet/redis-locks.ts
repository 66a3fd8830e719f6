/** Locks in Redis, as https://redis.io/docs/latest/commands/set/#patterns has them: `SET NX PX`, and scripts that compare the token first. */
import type { LockStore } from './lock.ts'
import type { RedisConnection } from './redis-connection.ts'

/** A lock that ends never, or far later than one that is taken now, is none of ours: nobody would release it. */
const TAKE = `
local rest = redis.call('pttl', KEYS[1])
if rest == -1 or rest > 10 * tonumber(ARGV[2]) then redis.call('del', KEYS[1]) end
return redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0`
const EXTEND = `return redis.pcall('get', KEYS[1]) == ARGV[1] and redis.call('pexpire', KEYS[1], ARGV[2]) or 0`
const REMOVE = `return redis.pcall('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1]) or 0`

export function createRedisLocks(redis: RedisConnection): LockStore {
  const keyOf = (name: string): string => `sluice:lock:${name}`
  const ask = async (script: string, name: string, ...args: (string | number)[]): Promise<boolean> =>
    (await reached().eval(script, 1, keyOf(name), ...args)) === 1

  function reached() {
    if (redis.client === undefined) throw new Error('Redis was not reached yet')
    return redis.client
  }

  return {
    take: (name, token, ttlMs) => ask(TAKE, name, token, ttlMs),
    extend: (name, token, ttlMs) => ask(EXTEND, name, token, ttlMs),
    remove: (name, token) => ask(REMOVE, name, token),
  }
}
