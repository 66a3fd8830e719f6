/** Dispatch by BullMQ when Redis dies, is emptied, or refuses what it is told; and beside processes that dispatch without it. */
import { readFile } from 'node:fs/promises'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { RunningEngine } from '../../src/engine/create-engine.ts'
import type { Dispatch } from '../../src/fleet/dispatch.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createPostgresDispatch } from '../../src/fleet/postgres-dispatch.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisDispatch } from '../../src/fleet/redis-dispatch.ts'
import { QUEUE, queuePrefix } from '../../src/fleet/redis-doorbells.ts'
import { decodeId, newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { testRedis } from '../harness/redis.ts'
import { testDatabase } from '../harness/test-database.ts'

const EXECUTIONS = 500

const silent = createLog('silent')
const { database } = await testDatabase({ poolSize: 20 })
const server = hasRedis ? await testRedis() : undefined
const bus = createLocalBus(silent)
const flow = await storeFlow(database, { name: 'one', steps: { only: { type: 'handler', handler: 'work' } } })
/** how often the step of each ran */
const runs = new Map<string, number>()
const handlers = {
  async work(_input: unknown, { executionId }: { executionId: string }) {
    const id = decodeId('execution', executionId)!
    runs.set(id, (runs.get(id) ?? 0) + 1)
    await new Promise((resolve) => setTimeout(resolve, 5))
    return {}
  },
}

interface Counted {
  dispatch: Dispatch
  /** by the name of the metric and its label */
  count(name: string): Promise<number>
}

async function redisDispatch(lookEveryMs?: number, url = server!.url): Promise<Counted> {
  const redis = await connectRedis(url, silent)
  const registry = new Registry()
  const dispatch = createRedisDispatch({ redis, bus, log: silent, registry, ...(lookEveryMs !== undefined && { lookEveryMs }) })
  onTestFinished(async () => {
    await dispatch.close()
    redis.close()
  })
  const count = async (name: string): Promise<number> =>
    Number(/ (\d+)$/m.exec((await registry.metrics()).split('\n').find((line) => line.startsWith(name)) ?? ' 0')![1])
  return { dispatch, count }
}

/** Stopped when the test ends, before its dispatch is closed. */
async function startEngine(dispatch: Dispatch, enabled = true): Promise<RunningEngine> {
  // nobody dies here: a slow machine must not look as if
  const engine = await testEngine(database, { dispatch, enabled, bus, handlers, leaseMs: 30_000, maxHeld: 50, drainMs: 200 })
  onTestFinished(() => engine.stop())
  return engine
}

async function startMany(engine: RunningEngine, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, () => startFlow(engine, flow)))
}

/** Each ran once and succeeded, and nothing else is wrong. */
async function expectAllDone(ids: readonly string[]): Promise<void> {
  await allEnded(database, 60_000)
  const rows = await database.query<{ count: number }>(
    `select count(*)::integer as count from sluice.executions where id = any($1::uuid[]) and status = 'SUCCEEDED'`,
    [ids],
  )
  expect(rows[0]!.count).toBe(ids.length)
  expect(ids.filter((id) => runs.get(id) !== 1)).toEqual([])
  expect(await breaches(database)).toEqual([])
}

async function withRedis<T>(work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(server!.url)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

describe.skipIf(!hasRedis)('dispatch by BullMQ', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    await server!.stop()
    await server!.start()
  })

  test('Redis is emptied, killed and started again while 500 executions start: each runs once, and nobody is told of trouble', async () => {
    const api = await startEngine((await redisDispatch()).dispatch, false)
    for (let workers = 0; workers < 2; workers += 1) await startEngine((await redisDispatch()).dispatch)
    const ids: string[] = []
    for (let part = 0; part < 10; part += 1) {
      const starting = startMany(api, EXECUTIONS / 10)
      if (part === 2 || part === 8) await withRedis((client) => client.flushall())
      if (part === 4) await server!.stop()
      if (part === 6) await server!.start()
      ids.push(...(await starting))
    }
    await expectAllDone(ids)
  })

  test('offers that Redis lost cost a look, and nothing else', async () => {
    const { dispatch, count } = await redisDispatch(500)
    await startEngine(dispatch)
    const api = await startEngine({ ...dispatch, offer: () => {} }, false)
    await expectAllDone(await startMany(api, 20))
    expect(await count('sluice_dispatch_jobs_total')).toBe(0)
  })

  test.each([
    ['is full', 'maxmemory', '1', '0'],
    ['is read only', 'min-replicas-to-write', '3', '0'],
  ])(
    'a Redis that %s loses the offers, and workers look for themselves until it takes them again',
    async (_what, name, bad, good) => {
      const offering = await redisDispatch()
      const serving = await redisDispatch(1_000)
      const api = await startEngine(offering.dispatch, false)
      await startEngine(serving.dispatch)
      await expectAllDone(await startMany(api, 20))
      expect(await serving.count('sluice_dispatch_jobs_total')).toBeGreaterThan(0)

      await withRedis((client) => client.config('SET', name, bad))
      const lost = await startMany(api, 20)
      await expect.poll(() => offering.count(`sluice_dispatch_offers_total{outcome="lost"}`), { timeout: 20_000 }).toBe(20)
      // a worker of this process would look as if there were no Redis
      expect(offering.dispatch.lookEveryMs).toBe(0)
      await expectAllDone(lost)

      await withRedis((client) => client.config('SET', name, good))
      const before = await offering.count('sluice_dispatch_offers_total{outcome="queued"}')
      await expectAllDone(await startMany(api, 20))
      expect(await offering.count('sluice_dispatch_offers_total{outcome="queued"}')).toBe(before + 20)
    },
  )

  test('a user of Redis who may do no more than the documentation says is enough (D6)', async () => {
    const rules = /^~\{sluice:\* (.+)$/m.exec(await readFile('docs/operating.md', 'utf8'))![1]!
    const common = '~sluice:* ~{sluice:* +@connection +info +eval +evalsha +set +get +del +pexpire'
    await withRedis((client) => client.call('ACL', 'SETUSER', 'fleet', 'on', '>pw', ...common.split(' '), ...rules.split(' ')))
    const { dispatch, count } = await redisDispatch(60_000, server!.url.replace('//', '//fleet:pw@'))
    const api = await startEngine(dispatch, false)
    await startEngine(dispatch)
    await expectAllDone(await startMany(api, 20))
    expect(await count('sluice_dispatch_jobs_total')).toBeGreaterThan(0)
    expect(await count('sluice_dispatch_offers_total{outcome="lost"}')).toBe(0)
    const refused = await withRedis((client) => client.call('ACL', 'LOG'))
    expect(refused).toEqual([])
  })

  test('whoever can write to Redis may queue what they like: each execution still runs once, in its pool, and nobody dies of it', async () => {
    const offering = (await redisDispatch(500)).dispatch
    const api = await startEngine(offering, false)
    const [elsewhere] = await startMany(api, 1)
    await database.query(`update sluice.executions set pool = 'gpu' where id = $1`, [elsewhere])
    await startEngine((await redisDispatch(500)).dispatch)
    const done = await startMany(api, 5)
    const key = (name: string): string => `${queuePrefix('default')}:${QUEUE}:${name}`
    const before = process.memoryUsage.rss()
    await withRedis(async (client) => {
      const queue = async (id: string, fields: Record<string, string>): Promise<void> => {
        if (Object.keys(fields).length > 0)
          await client.hset(key(id), { name: QUEUE, timestamp: '1', data: 'null', opts: '{}', ...fields })
        await client.lpush(key('wait'), id)
        await client.zadd(key('marker'), 0, '0')
      }
      const parent = { queueKey: key('').slice(0, -1), id: 'x' }
      await queue('no-such-job', {})
      await queue('no-json', { data: '{' })
      await queue('no-options', { opts: '[' })
      await queue('null', { opts: 'null', data: '' })
      await queue('__proto__', {
        data: '{"__proto__":{"forged":1}}',
        opts: '{"__proto__":{"forged":1},"constructor":{"prototype":{"forged":1}}}',
      })
      await queue('large', { data: `"${'x'.repeat(20_000_000)}"` })
      await queue('child', {
        opts: JSON.stringify({ parent, repeat: { every: 1 }, attempts: 1e9, delay: 1e12 }),
        parent: JSON.stringify(parent),
        parentKey: key('x'),
      })
      // of another pool, of one that has ended, of none
      for (const id of [elsewhere!, ...done, newUuid()])
        for (const version of [1, 999]) await queue(`${id}-${version}`, { opts: '{}' })
      await client.lpush(key('wait'), ...Array.from({ length: 5_000 }, (_, at) => `junk-${at}`))
      const more = await startMany(api, 20)
      await expect.poll(() => client.llen(key('wait')), { timeout: 60_000 }).toBe(0)
      const [row] = await database.query('select status, owner, epoch::integer from sluice.executions where id = $1', [elsewhere])
      expect(row).toEqual({ status: 'PENDING', owner: null, epoch: 0 })
      await database.query(`update sluice.executions set pool = 'default' where id = $1`, [elsewhere])
      await expectAllDone([...more, ...done, elsewhere!])
      for (const name of ['marker', 'wait', 'active', 'prioritized', 'meta', 'pc', 'stalled']) {
        await client.del(key(name))
        await client.set(key(name), 'x')
      }
      await expectAllDone(await startMany(api, 20))
      for (const name of ['marker', 'wait', 'active', 'prioritized', 'meta', 'pc', 'stalled']) await client.del(key(name))
      await client.hset(key('meta'), { paused: 1, max: 1, duration: 1e12, concurrency: 1 })
      await expectAllDone(await startMany(api, 20))
    })
    expect({}).not.toHaveProperty('forged')
    expect(process.memoryUsage.rss() - before).toBeLessThan(300_000_000)
  })

  test('a roll-out: processes with and without it serve one database, and everything ends, whoever started it (E5)', async () => {
    const without = createPostgresDispatch(bus)
    const { dispatch } = await redisDispatch()
    const apis = [await startEngine(dispatch, false), await startEngine(without, false)]
    const workers = [await startEngine(dispatch), await startEngine(without)]
    const claimed = workers.map((engine) => {
      let count = 0
      engine.worker.onClaim = (claims) => (count += claims)
      return () => count
    })
    const ids: string[] = []
    const startMore = async (): Promise<number> => {
      for (const api of apis) ids.push(...(await startMany(api, 20)))
      return Math.min(...claimed.map((count) => count()))
    }
    // both take part
    await expect.poll(startMore, { timeout: 60_000 }).toBeGreaterThan(0)
    await expectAllDone(ids)
  })
})
