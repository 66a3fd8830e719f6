import { expect, test } from 'vitest'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'

test('a million keys take no more memory than the most that are kept, and no timers (A2, B3)', async () => {
  const limiter = createMemoryLimiter({ name: 'test', points: 1 })
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const heap = async (keys: number, prefix: string): Promise<number> => {
    for (let i = 0; i < keys; i++) await limiter.take(`${prefix}-${i}`)
    global.gc?.()
    return process.memoryUsage().heapUsed
  }
  const full = await heap(100_000, 'first')
  const after = await heap(1_000_000, 'second')
  expect(timers()).toBeLessThanOrEqual(before)
  expect(after - full).toBeLessThan(60_000_000)
  expect(limiter.spent('second-999999')).toBeDefined()
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
