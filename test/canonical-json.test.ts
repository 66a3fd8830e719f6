import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, hashOf } from '../src/canonical-json.ts'

/** The same value with the fields of its objects in another order. */
function reordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reordered)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, inner]) => [key, reordered(inner)]),
  )
}

test('the order of fields changes nothing (E2)', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(canonicalJson(reordered(value))).toBe(canonicalJson(value))
    }),
  )
})

test('it means the same value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test.each([
  [{ a: 1 }, { a: 2 }],
  [{ a: 1 }, { a: '1' }],
  [
    [1, 2],
    [2, 1],
  ],
  [{ a: { b: 1 } }, { a: { b: 1, c: null } }],
  [{}, []],
  [JSON.parse('{"__proto__":1}'), {}],
])('%j and %j are not the same (E2)', (one, other) => {
  expect(hashOf(one)).not.toEqual(hashOf(other))
})
