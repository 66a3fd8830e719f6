/** What every lock keeps, run against each of the stores. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { createLocks, createSingleton } from '../../src/fleet/lock.ts'
import type { Locks, LockStore } from '../../src/fleet/lock.ts'
import { createPostgresLocks } from '../../src/fleet/postgres-locks.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisLocks } from '../../src/fleet/redis-locks.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { testDatabase } from '../harness/test-database.ts'

const SHORT_MS = 100
const LONG_MS = 60_000

const silent = createLog('silent')
const { database } = await testDatabase()
const server = hasRedis ? await testRedis() : undefined

async function openRedisLocks(): Promise<LockStore> {
  const redis = await connectRedis(server!.url, silent)
  onTestFinished(() => redis.close())
  return createRedisLocks(redis)
}

const stores = [
  { name: 'in Redis', open: openRedisLocks, here: hasRedis },
  { name: 'in PostgreSQL', open: async () => createPostgresLocks(database), here: true },
]

/** This process stands still: no timer, no answer, as under SIGSTOP. */
const standStill = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

for (const { name, open, here } of stores)
  describe.skipIf(!here)(`a lock ${name}`, () => {
    /** As two processes. */
    async function openTwo(): Promise<{ one: Locks; other: Locks; lockName: string; store: LockStore }> {
      const [store, second] = [await open(), await open()]
      return { one: createLocks(store, silent), other: createLocks(second, silent), lockName: newUuid(), store }
    }

    test('is had by one at a time, and by the next when it is released (E1)', async () => {
      const { one, other, lockName } = await openTwo()
      const lock = await one.acquire(lockName, LONG_MS)
      expect(lock!.held).toBe(true)
      expect(await other.acquire(lockName, LONG_MS)).toBeUndefined()
      expect(await one.acquire(lockName, LONG_MS)).toBeUndefined()
      await lock!.release()
      expect(lock!.held).toBe(false)
      const next = await other.acquire(lockName, LONG_MS)
      expect(next!.held).toBe(true)
      await next!.release()
    })

    test('of 50 who ask at once one gets it, and other names are others (E1)', async () => {
      const { one, other, lockName } = await openTwo()
      const asked = Array.from({ length: 50 }, (_, n) => (n % 2 ? one : other).acquire(lockName, LONG_MS))
      const got = (await Promise.all(asked)).filter((lock) => lock !== undefined)
      expect(got).toHaveLength(1)
      const another = await one.acquire(`${lockName} 2`, LONG_MS)
      expect(another!.held).toBe(true)
      await Promise.all([got[0]!.release(), another!.release()])
    })

    test('is released by its owner only (E1)', async () => {
      const { one, other, lockName, store } = await openTwo()
      const lock = await one.acquire(lockName, LONG_MS)
      expect(await store.remove(lockName, newUuid())).toBe(false)
      expect(await store.extend(lockName, newUuid(), LONG_MS)).toBe(false)
      expect(await other.acquire(lockName, LONG_MS)).toBeUndefined()
      await lock!.release()
      expect(await store.remove(lockName, newUuid())).toBe(false)
    })

    test('ends by itself when its owner died (E1)', async () => {
      const { other, lockName, store } = await openTwo()
      // taken, and never heard of again
      expect(await store.take(lockName, newUuid(), SHORT_MS)).toBe(true)
      expect(await other.acquire(lockName, LONG_MS)).toBeUndefined()
      let lock = await other.acquire(lockName, LONG_MS)
      await expect.poll(async () => (lock ??= await other.acquire(lockName, LONG_MS))?.held).toBe(true)
      await lock!.release()
    })

    test('whoever pauses past its end and wakes late has nothing, and changes nothing (E1)', async () => {
      const { one, other, lockName, store } = await openTwo()
      const late = await one.acquire(lockName, SHORT_MS)
      standStill(SHORT_MS * 2)
      const taking = other.acquire(lockName, LONG_MS)
      expect(late!.held).toBe(false)
      const lock = await taking
      expect(lock!.held).toBe(true)
      await late!.release()
      expect(late!.held).toBe(false)
      expect(await store.take(lockName, newUuid(), LONG_MS)).toBe(false)
      expect(lock!.held).toBe(true)
      await lock!.release()
    })

    test('what one process does for all stays with it while it lives, and goes to another when it stops', async () => {
      const { one, other, lockName } = await openTwo()
      const [first, second] = [createSingleton(one, lockName, LONG_MS), createSingleton(other, lockName, LONG_MS)]
      expect(await first.isMine()).toBe(true)
      expect(await second.isMine()).toBe(false)
      expect(await first.isMine()).toBe(true)
      await first.stop()
      expect(await second.isMine()).toBe(true)
      expect(await first.isMine()).toBe(false)
      await second.stop()
    })

    test('of two questions at once of one process both are answered alike', async () => {
      const { one, lockName } = await openTwo()
      const singleton = createSingleton(one, lockName, LONG_MS)
      expect(await Promise.all([singleton.isMine(), singleton.isMine()])).toEqual([true, true])
      await singleton.stop()
    })
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
