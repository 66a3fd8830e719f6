import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'

/** What is really held, ms and chance apart. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage().heapUsed
}

test('inventing keys takes no more memory than the most that are kept, and no timers (A2, B3)', async () => {
  const limiter = createMemoryLimiter({ name: 'test', points: 1 })
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  for (let i = 0; i < 60_000; i++) await limiter.take(`first-${i}`)
  const full = heldBytes()
  for (let i = 0; i < 300_000; i++) await limiter.take(`second-${i}`)
  expect(heldBytes() - full).toBeLessThan(5_000_000)
  expect(timers()).toBeLessThanOrEqual(before)
  expect(limiter.spent('second-299999')).toBeDefined()
  expect(limiter.spent('first-0')).toBeUndefined()
})

test('a key that keeps asking is not forgotten, however many others ask meanwhile (B3)', async () => {
  const limiter = createMemoryLimiter({ name: 'test', points: 2 }, { maxKeys: 100 })
  await limiter.take('mine', 2)
  for (let i = 0; i < 10_000; i++) {
    await limiter.take(`other-${i}`)
    if (i % 50 === 0) expect(await limiter.take('mine')).toMatchObject({ allowed: false })
  }
  expect(limiter.spent('mine')).toBeDefined()
})

test('a window ends to the millisecond, by a clock that only goes forward', async () => {
  let now = 5_000
  const limiter = createMemoryLimiter({ name: 'test', points: 1 }, { monotonic: () => now })
  await limiter.take('key')
  now += 59_999
  expect(await limiter.take('key')).toMatchObject({ allowed: false, resetMs: 1 })
  now += 1
  expect(await limiter.take('key')).toMatchObject({ allowed: true, resetMs: 60_000 })
})
