/** Limits when Redis goes away, hangs, and comes back: nobody waits for it, nobody is let through uncounted. */
import type { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisLimiters } from '../../src/fleet/redis-limiter.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'

const AWAY = 'Redis is away: limits are counted by each process for itself'
const BACK = 'limits are counted in Redis again'
const redis = hasRedis ? await testRedis() : undefined
let names = 0

async function open(url: string) {
  const lines: { msg: string; why?: string }[] = []
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) })
  const registry = new Registry()
  const connection = await connectRedis(url, log)
  onTestFinished(() => connection.close())
  const limiter = createRedisLimiters({ redis: connection, log, registry })({ name: `rule-${names++}`, points: 3 })
  const said = (message: string): number => lines.filter(({ msg }) => msg === message).length
  const metric = async (name: string): Promise<number> => (await registry.getSingleMetric(name)!.get()).values[0]!.value
  return { connection, limiter, lines, said, metric }
}

/** Asks with new keys until Redis counts them again: it is left alone for a while after it failed. */
async function untilBack({ limiter, said }: Awaited<ReturnType<typeof open>>): Promise<void> {
  for (let i = 0; said(BACK) === 0 && i < 1_000; i++) {
    await limiter.take(`new-${i}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe.skipIf(!hasRedis)('limits in Redis', () => {
  test('go on in memory when Redis dies, are told of once in the log and in a metric, and come back with it (B3)', async () => {
    const opened = await open(redis!.url)
    const { limiter, said, metric } = opened
    await limiter.take('key')
    expect(await metric('sluice_limits_insured')).toBe(0)

    await redis!.stop()
    const states = []
    for (let i = 0; i < 20; i++) states.push(await limiter.take('key'))
    expect(states.filter(({ allowed }) => allowed)).toHaveLength(3)
    expect(states[19]).toMatchObject({ allowed: false, limit: 3, remaining: 0 })
    expect(said(AWAY)).toBe(1)
    expect(await metric('sluice_limits_insured')).toBe(1)
    expect(await metric('sluice_limits_store_failures_total')).toBeGreaterThan(0)

    await redis!.start()
    await untilBack(opened)
    expect(said(AWAY)).toBe(1)
    expect(said(BACK)).toBe(1)
    expect(said('Redis cannot be reached')).toBeLessThanOrEqual(1)
    expect(await metric('sluice_limits_insured')).toBe(0)
    // what it used up meanwhile stays used up
    expect(await limiter.take('key')).toMatchObject({ allowed: false })
  })

  test('do not wait for a Redis that hangs', async () => {
    const { limiter, said, connection } = await open(redis!.url)
    redis!.pause()
    onTestFinished(() => redis!.resume())
    const begun = performance.now()
    expect(await limiter.take('key')).toMatchObject({ allowed: true })
    expect(said(AWAY)).toBe(1)
    const waited = performance.now() - begun
    expect(waited).toBeLessThan(5_000)
    // the next ones do not even ask
    const asked = ((await connection.reached) as Redis).options.commandTimeout!
    const again = performance.now()
    for (let i = 0; i < 20; i++) await limiter.take(`key-${i}`)
    expect(performance.now() - again).toBeLessThan(asked * 10)
  })

  test('are counted in memory when Redis was never there, and the start does not fail', async () => {
    const { limiter, said, lines } = await open('redis://:a-secret-password@127.0.0.1:1')
    for (const allowed of [true, true, true, false]) expect(await limiter.take('key')).toMatchObject({ allowed })
    expect(said(AWAY)).toBe(1)
    expect(JSON.stringify(lines)).not.toContain('a-secret-password')
  })

  test('ask Redis about a flood of refusals once a second, not each time', async () => {
    const { limiter, connection } = await open(redis!.url)
    for (let i = 0; i < 4; i++) await limiter.take('key')
    const client = await connection.reached
    await client.config('RESETSTAT')
    for (let i = 0; i < 1_000; i++) expect((await limiter.take('key')).allowed).toBe(false)
    const stats = await client.info('commandstats')
    const asked = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
    expect(asked).toBeLessThan(20)
  })

  test('what somebody else wrote there keeps nobody out for longer than a window, and breaks no other limit (B3)', async () => {
    const { limiter, connection, said } = await open(redis!.url)
    const client = (await connection.reached) as Redis
    const forge = (name: string) => `sluice:limit:rule-${names - 1}:${name}`
    await client.set(forge('for ever'), 1_000)
    await client.set(forge('for years'), 1_000, 'PX', 1e11)
    await client.set(forge('no number'), 'NaN', 'EX', 30)
    await client.set(forge('endless'), '9'.repeat(400), 'EX', 30)
    await client.set(forge('less than none'), -1_000, 'EX', 30)
    await client.rpush(forge('list'), 'x')
    const forged = ['for ever', 'for years', 'no number', 'endless', 'less than none', 'list']
    for (const key of forged) {
      if (key !== 'list') expect(await limiter.look(key), key).toMatchObject({ allowed: true, remaining: 3 })
      expect((await limiter.take(key, 2)).remaining, key).toBe(1)
      expect((await limiter.take(key, 2)).allowed, key).toBe(false)
    }
    expect(said(AWAY)).toBe(0)
  })

  test('leave nothing in Redis after their window', async () => {
    const { limiter, connection } = await open(redis!.url)
    await limiter.take('key')
    await limiter.giveBack('nobody', 1)
    const client = await connection.reached
    const [key, ...others] = await client.keys(`sluice:limit:rule-${names - 1}:*`)
    expect(others).toEqual([])
    expect(await client.ttl(key!)).toBeGreaterThan(0)
  })
})
