/** What every lock keeps, whatever it is stored in. */
import { describe, expect, test } from 'vitest'
import { createLocks, createSingleton } from '../../src/fleet/lock.ts'
import type { Locks, LockStore } from '../../src/fleet/lock.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'

export const SHORT_MS = 100
export const LONG_MS = 60_000

const silent = createLog('silent')

/** This process stands still: no timer, no answer, as under SIGSTOP. */
export const standStill = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

export function describeLock(name: string, open: () => Promise<LockStore>, here = true): void {
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
}
