import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TextPatterns } from '../../src/masking/text-patterns.ts'

/** The same, slowly: every place of every text, then united. */
function naive(texts: readonly string[], text: string): number[] {
  const covered = new Set<number>()
  for (const wanted of texts) {
    for (let at = text.indexOf(wanted); wanted !== '' && at >= 0; at = text.indexOf(wanted, at + 1)) {
      for (let i = at; i < at + wanted.length; i++) covered.add(i)
    }
  }
  return [...covered].toSorted((a, b) => a - b)
}
const covered = (texts: readonly string[], text: string): number[] =>
  new TextPatterns(texts).find(text).flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i))

const few = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 })
test('it finds what looking for each by itself finds', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 60 })
  const same = (wanted: string[], given: string): void => {
    expect(covered(wanted, given)).toEqual(naive(wanted, given))
  }
  fc.assert(fc.property(fc.array(few, { maxLength: 6 }), text, same), { numRuns: 2_000 })
})

test('spans are in order, and those that touch are one', () => {
  const patterns = new TextPatterns(['abcd', 'cdef', 'gh', 'xyz'])
  expect(patterns.find('abcdefgh xyz')).toEqual([
    [0, 8],
    [9, 12],
  ])
})

test('the beginning of a text at the end of one that was cut is found', () => {
  const patterns = new TextPatterns(['secret-value'])
  expect(patterns.find('it is secret-v')).toEqual([])
  expect(patterns.find('it is secret-v', { cut: true })).toEqual([[6, 14]])
  expect(patterns.find('it is sec', { cut: true })).toEqual([])
})

test('its time grows with the text alone, also where every place looks like a beginning', () => {
  const patterns = new TextPatterns([`${'a'.repeat(4_000)}b`])
  const took = (length: number): number => {
    const text = 'a'.repeat(length)
    const startedAt = process.cpuUsage().user
    expect(patterns.find(text)).toEqual([])
    return process.cpuUsage().user - startedAt
  }
  took(100_000)
  // looking for it at each place by itself is 4 * 10^9 comparisons: more than a second
  expect(took(1_000_000)).toBeLessThan(1_000_000)
})
