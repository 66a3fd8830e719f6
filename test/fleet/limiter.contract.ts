/** What every limiter keeps, wherever it counts; processes that share a Redis count together. */
import { describe, expect, test } from 'vitest'
import type { CreateLimiter, LimitRule } from '../../src/fleet/limiter.ts'

let names = 0
/** A name of its own for each test: one Redis serves them all. */
const rule = (points: number, windowSeconds = 60): LimitRule => ({ name: `rule-${names++}`, points, windowSeconds })

export function describeLimiter(name: string, open: () => Promise<CreateLimiter>, here = true): void {
  describe.skipIf(!here)(`a limit counted ${name}`, () => {
    test('allows as many points as it has, and tells the rest and the wait (B3)', async () => {
      const limiter = (await open())(rule(3))
      for (const remaining of [2, 1, 0]) {
        const state = await limiter.take('key')
        expect(state).toMatchObject({ allowed: true, limit: 3, remaining })
        expect(state.resetMs).toBeGreaterThan(0)
        expect(state.resetMs).toBeLessThanOrEqual(60_000)
      }
      const refused = await limiter.take('key')
      expect(refused).toMatchObject({ allowed: false, limit: 3, remaining: 0 })
      expect(refused.resetMs).toBeGreaterThan(50_000)
    })

    test('allows exactly as many of simultaneous takes as it has points (B3)', async () => {
      const limiter = (await open())(rule(5))
      const states = await Promise.all(Array.from({ length: 50 }, () => limiter.take('key')))
      expect(states.filter(({ allowed }) => allowed)).toHaveLength(5)
      expect(states.map(({ remaining }) => remaining).sort((a, b) => b - a)).toEqual([4, 3, 2, 1, ...Array(46).fill(0)])
    })

    test('tells how a key stands without taking anything', async () => {
      const limiter = (await open())(rule(2))
      expect(await limiter.look('key')).toMatchObject({ allowed: true, limit: 2, remaining: 2 })
      await limiter.take('key')
      expect(await limiter.look('key')).toMatchObject({ allowed: true, remaining: 1 })
      await limiter.take('key')
      const state = await limiter.look('key')
      expect(state).toMatchObject({ allowed: false, remaining: 0 })
      expect(state.resetMs).toBeGreaterThan(50_000)
    })

    test('takes all points or none: what is too much now leaves the rest to others', async () => {
      const limiter = (await open())(rule(10))
      await limiter.take('key', 7)
      expect(await limiter.take('key', 4)).toMatchObject({ allowed: false, remaining: 3 })
      expect(limiter.spent('key')).toBeUndefined()
      expect(await limiter.take('key', 3)).toMatchObject({ allowed: true, remaining: 0 })
    })

    test('refuses what no window holds, and takes nothing for it', async () => {
      const limiter = (await open())(rule(10))
      expect(await limiter.take('key', 11)).toMatchObject({ allowed: false, remaining: 10, resetMs: 60_000 })
      expect(await limiter.take('key', 10)).toMatchObject({ allowed: true })
    })

    test('counts keys apart, and limits of different names apart', async () => {
      const create = await open()
      const [first, second] = [create(rule(1)), create(rule(1))]
      for (const limiter of [first, second]) {
        for (const key of ['a', 'b', 'A', 'a:b', 'ä\n"']) expect(await limiter.take(key)).toMatchObject({ allowed: true })
      }
    })

    test('gives everything back when its window ends, and refusals do not lengthen it', async () => {
      const limiter = (await open())(rule(2, 1))
      await limiter.take('key', 2)
      const { resetMs } = await limiter.take('key')
      expect(resetMs).toBeLessThanOrEqual(1_000)
      await new Promise((resolve) => setTimeout(resolve, resetMs + 5))
      expect(limiter.spent('key')).toBeUndefined()
      expect(await limiter.take('key')).toMatchObject({ allowed: true, remaining: 1 })
    })

    test('knows a spent key without asking, from its refusal on', async () => {
      const limiter = (await open())(rule(1))
      expect(limiter.spent('key')).toBeUndefined()
      await limiter.take('key')
      await limiter.take('key')
      const spent = limiter.spent('key')
      expect(spent).toMatchObject({ allowed: false, limit: 1, remaining: 0 })
      expect(spent!.resetMs).toBeGreaterThan(50_000)
      expect(limiter.spent('other')).toBeUndefined()
    })

    test('takes points back, never more than were taken, and of no window that is not there', async () => {
      const limiter = (await open())(rule(2))
      await limiter.giveBack('key', 1)
      await limiter.take('key', 2)
      await limiter.take('key')
      await limiter.giveBack('key', 1)
      expect(limiter.spent('key')).toBeUndefined()
      expect(await limiter.take('key')).toMatchObject({ allowed: true, remaining: 0 })
      await limiter.giveBack('key', 9)
      expect(await limiter.take('key')).toMatchObject({ allowed: true, remaining: 1 })
    })
  })
}

/** What is opened twice is two processes. */
export function describeSharedLimiter(name: string, open: () => Promise<CreateLimiter>, here = true): void {
  describe.skipIf(!here)(`two processes with ${name}`, () => {
    test('count together: no limit grows with the number of processes (B3)', async () => {
      const shared = rule(10)
      const [here, there] = [(await open())(shared), (await open())(shared)]
      const states = await Promise.all(Array.from({ length: 40 }, (_, at) => (at % 2 ? here : there).take('key')))
      expect(states.filter(({ allowed }) => allowed)).toHaveLength(10)
      await here.giveBack('key', 1)
      const { allowed } = await here.take('key')
      expect(allowed).toBe(true)
    })
  })
}
