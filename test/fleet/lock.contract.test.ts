/** What every lock keeps, run against each of the stores; in a Redis Cluster: redis-cluster.faults.ts. */
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { createLocks } from '../../src/fleet/lock.ts'
import type { LockStore } from '../../src/fleet/lock.ts'
import { createPostgresLocks } from '../../src/fleet/postgres-locks.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisLocks } from '../../src/fleet/redis-locks.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { testDatabase } from '../harness/test-database.ts'
import { describeLock, LONG_MS, SHORT_MS, standStill } from './lock.contract.ts'

const silent = createLog('silent')
const { database } = await testDatabase()
const server = hasRedis ? await testRedis() : undefined

async function openRedisLocks(): Promise<LockStore> {
  const redis = await connectRedis(server!.url, silent)
  onTestFinished(() => redis.close())
  return createRedisLocks(redis)
}

describeLock('in Redis', openRedisLocks, hasRedis)
describeLock('in PostgreSQL', async () => createPostgresLocks(database))

test.skipIf(!server)('a lock in Redis that somebody else made to last is none', async () => {
  const locks = createLocks(await openRedisLocks(), silent)
  const client = new Redis(server!.url)
  onTestFinished(() => client.disconnect())
  await client.set('sluice:lock:for ever', 'x')
  await client.set('sluice:lock:for years', 'x', 'PX', 1e11)
  await client.rpush('sluice:lock:list', 'x')
  for (const name of ['for ever', 'for years', 'list']) {
    const lock = await locks.acquire(name, SHORT_MS)
    expect(lock?.held, name).toBe(true)
    await lock!.release()
  }
})

test('where nobody can be asked everybody gets it: work done twice is better than none', async () => {
  const away = (): Promise<boolean> => Promise.reject(new Error('away'))
  const locks = createLocks({ take: away, extend: away, remove: away }, silent)
  const [one, two] = [await locks.acquire('name', LONG_MS), await locks.acquire('name', SHORT_MS)]
  expect([one!.held, two!.held]).toEqual([true, true])
  await one!.release()
  standStill(SHORT_MS * 2)
  expect([one!.held, two!.held], 'not for ever: it is asked for again').toEqual([false, false])
})
