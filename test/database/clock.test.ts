/** The estimate of PostgreSQL's clock. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createClock } from '../../src/database/clock.ts'

/** One question: the pause before it, and how long it and its answer travelled (ms). */
const exchange = fc.record({
  pause: fc.double({ min: 0, max: 60_000, noNaN: true }),
  there: fc.double({ min: 0, max: 400, noNaN: true }),
  back: fc.double({ min: 0, max: 400, noNaN: true }),
})
const exchanges = fc.array(exchange, { minLength: 1, maxLength: 30 })
const start = fc.integer({ min: 1_000_000_000_000, max: 2_000_000_000_000 })

test('the estimate is never further off than half of the newest round trip, nor than an older one with its drift', () => {
  fc.assert(
    fc.property(start, exchanges, fc.double({ min: -200e-6, max: 200e-6, noNaN: true }), (offset, list, drift) => {
      let monotonic = 0
      const database = (): number => offset + monotonic * (1 + drift)
      const clock = createClock(
        async () => database(),
        () => monotonic,
      )
      let best = Infinity
      let monotone = 0
      for (const { pause, there, back } of list) {
        monotonic += pause
        best += (pause + there + back) * 0.0015
        const sent = monotonic
        monotonic += there
        const answer = database()
        monotonic += back
        clock.sample(answer, sent, monotonic)
        best = Math.min(best, (there + back) / 2 + (there + back) * 200e-6)
        const estimate = clock.now()
        // It stands still rather than going back, so it may be ahead by what an earlier, worse estimate was.
        if (estimate > monotone) expect(database() - estimate).toBeLessThanOrEqual(best + 1.001)
        expect(estimate).toBeGreaterThanOrEqual(monotone)
        monotone = estimate
      }
    }),
  )
})

test('a fresh clock with one sample is off by at most half of its round trip, either way', () => {
  fc.assert(
    fc.property(start, exchange, (offset, { there, back }) => {
      let monotonic = 500
      const clock = createClock(
        async () => Number.NaN,
        () => monotonic,
      )
      clock.sample(offset + monotonic + there, monotonic, monotonic + there + back)
      monotonic += there + back
      expect(Math.abs(clock.now() - (offset + monotonic))).toBeLessThanOrEqual((there + back) / 2 + 1.001)
    }),
  )
})

test('it never goes back, also when the database is set back, and follows at once when it is set forward', () => {
  fc.assert(
    fc.property(
      start,
      fc.array(fc.tuple(exchange, fc.integer({ min: -100_000, max: 100_000 })), { maxLength: 30 }),
      (offset, list) => {
        let monotonic = 0
        let base = offset
        let highest = Number.NEGATIVE_INFINITY
        const clock = createClock(
          async () => Number.NaN,
          () => monotonic,
        )
        for (const [{ pause, there, back }, step] of list) {
          monotonic += pause
          base += step
          clock.sample(base + monotonic + there, monotonic, monotonic + there + back)
          monotonic += there + back
          const estimate = clock.now()
          expect(Number.isInteger(estimate)).toBe(true)
          expect(estimate).toBeGreaterThanOrEqual(highest)
          expect(estimate).toBeGreaterThanOrEqual(Math.min(base + monotonic - 1_000, Infinity))
          highest = estimate
        }
      },
    ),
  )
})

test('one slow answer after a quick one does not spoil the estimate', () => {
  let monotonic = 0
  const clock = createClock(
    async () => Number.NaN,
    () => monotonic,
  )
  clock.sample(1_000_000_000_000.5, 0, 1)
  monotonic = 401
  // This one came back after 400 ms, all of them on its way home: alone it would be off by 200 ms.
  clock.sample(1_000_000_000_001.5, 1, 401)
  expect(Math.abs(clock.now() - 1_000_000_000_401)).toBeLessThanOrEqual(1)
})

test('before the first sample it knows nothing, and `sync` asks', async () => {
  let monotonic = 10
  const clock = createClock(
    async () => {
      monotonic += 2
      return 1_000_000_000_001
    },
    () => monotonic,
  )
  expect(clock.now()).toBeNaN()
  await clock.sync()
  // It was asked at 10 and had the answer at 12: the answer is taken for the time in the middle.
  expect(clock.now()).toBe(1_000_000_000_002)
})
