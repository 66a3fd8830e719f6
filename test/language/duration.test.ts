import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, MAX_DURATION_MS, parseDuration } from '../../src/language/duration.ts'

test.each([
  ['PT0S', 0],
  ['PT0.3S', 300],
  ['PT0,5S', 500],
  ['PT1M30S', 90_000],
  ['PT1.5H', 5_400_000],
  ['P1D', 86_400_000],
  ['P2DT3H4M5.006S', 2 * 86_400_000 + 3 * 3_600_000 + 4 * 60_000 + 5_006],
  ['P1W', 604_800_000],
  ['P1WT1S', 604_801_000],
  ['P3650D', MAX_DURATION_MS],
])('the duration %s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each([
  '',
  'P',
  'PT',
  'P1DT',
  'P1Y',
  'P1M',
  '1S',
  'PT1',
  'PT1.5H1S',
  'PT-1S',
  '-PT1S',
  'pt1s',
  'PT1S ',
  'P3651D',
  'PT1e3S',
  'P1D1W',
])('the text %j is not a duration of fixed length', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

test('every number of milliseconds up to ten years survives being written and read', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms)
    }),
  )
})

test('reading a duration never throws and never gives a fraction of a millisecond', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^P(\d{0,3}[WD])?(T(\d{1,3}(\.\d{1,4})?[HMS]){0,3})?$/)), (text) => {
      const ms = parseDuration(text)
      expect(ms === undefined || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true)
    }),
  )
})
