/** Attempts to sign in, counted in memory and in Redis alike. */
import { Registry } from 'prom-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { CreateLimiter } from '../../src/fleet/limiter.ts'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisLimiters } from '../../src/fleet/redis-limiter.ts'
import { createAttemptLimiter } from '../../src/identity/attempt-limiter.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'

const log = createLog('silent')
const redis = hasRedis ? await testRedis() : undefined

async function openShared() {
  const connection = await connectRedis(redis!.url, log)
  onTestFinished(() => connection.close())
  const client = await connection.reached
  await client.flushall()
  return { create: createRedisLimiters({ redis: connection, log, registry: new Registry() }), client }
}

const adapters = [
  { adapter: 'memory', open: async (): Promise<CreateLimiter> => createMemoryLimiter, here: true },
  { adapter: 'Redis', open: async () => (await openShared()).create, here: hasRedis },
]

for (const { adapter, open, here } of adapters) {
  describe.skipIf(!here)(`attempts counted in ${adapter}`, () => {
    const counted = async () => {
      const attempts = createAttemptLimiter(await open(), 5)
      return async (address: string, account: string) => (await attempts.attempt(address, account)).ok
    }

    test('are five a minute for an address and an account, however many come at once (B3)', async () => {
      const attempt = await counted()
      const results = await Promise.all(Array.from({ length: 20 }, () => attempt('192.0.2.1', 'a@example.com')))
      expect(results.filter(Boolean)).toHaveLength(5)
      expect(await attempt('192.0.2.1', 'b@example.com')).toBe(true)
      expect(await attempt('192.0.2.2', 'a@example.com')).toBe(true)
    })

    test('are bounded over all accounts of an address, and an IPv6 address is its network (B3)', async () => {
      const attempt = await counted()
      const results = await Promise.all(Array.from({ length: 80 }, (_, at) => attempt(`2001:db8::${at}`, `${at}@example.com`)))
      expect(results.filter(Boolean)).toHaveLength(50)
    })

    test('of others never keep somebody out (B2)', async () => {
      const attempt = await counted()
      for (let at = 0; at < 500; at++) await attempt(`198.51.100.${at % 250}`, 'victim@example.com')
      expect(await attempt('192.0.2.1', 'victim@example.com')).toBe(true)
    })
  })
}

describe.skipIf(!hasRedis)('attempts in a fleet', () => {
  test('count together, and Redis learns no e-mail (B3)', async () => {
    const { create, client } = await openShared()
    const [one, two] = [createAttemptLimiter(create, 5), createAttemptLimiter(create, 5)]
    const account = 'somebody@example.com'
    const results = await Promise.all(Array.from({ length: 20 }, (_, at) => (at % 2 ? one : two).attempt('192.0.2.1', account)))
    expect(results.filter(({ ok }) => ok)).toHaveLength(5)
    const keys = await client.keys('sluice:limit:*')
    expect(keys).toHaveLength(2)
    expect(keys.join()).not.toContain('example')
  })
})
