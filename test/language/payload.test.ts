import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkPayload, MAX_STATE_BYTES } from '../../src/language/payload.ts'

test('a payload of exactly 1,000,000 bytes passes and one more does not; the message names size and limit (A4)', () => {
  const text = 'é'.repeat(499_999)
  const exact = checkPayload(text, MAX_STATE_BYTES)
  expect(exact).toMatchObject({ ok: true, bytes: 1_000_000 })
  const over = checkPayload(`${text}a`, MAX_STATE_BYTES)
  expect(over).toMatchObject({ ok: false, code: 'TOO_LARGE', bytes: 1_000_001 })
  expect(over).toHaveProperty('message', expect.stringContaining('1000001'))
  expect(over).toHaveProperty('message', expect.stringContaining('1000000'))
})

test.each<[string, () => unknown]>([
  ['undefined', () => undefined],
  ['a function', () => () => 1],
  ['a symbol', () => ({ a: Symbol('x') })],
  ['a bigint', () => ({ a: [1n] })],
  ['NaN', () => [Number.NaN]],
  ['Infinity', () => ({ a: Infinity })],
  ['a hole in a list', () => [undefined]],
  ['a date', () => ({ at: new Date(0) })],
  ['a map', () => new Map()],
  ['a class instance', () => ({ url: new URL('http://localhost') })],
  ['an object with toJSON', () => ({ a: { toJSON: () => 1 } })],
])('%s is not JSON', (_, make) => {
  expect(checkPayload(make(), 1000)).toMatchObject({ ok: false, code: 'NOT_JSON' })
})

test('the place of what is not JSON is told', () => {
  expect(checkPayload({ a: [{ b: 1 }, { when: new Date(0) }] }, 1000)).toHaveProperty('message', 'a.1.when: a Date is not JSON')
})

test('NUL and lone surrogates cannot be stored, their escaped look-alikes can', () => {
  expect(checkPayload({ a: 'x\u0000' }, 1000)).toMatchObject({ ok: false, code: 'UNSTORABLE' })
  expect(checkPayload({ 'k\u0000': 1 }, 1000)).toMatchObject({ ok: false, code: 'UNSTORABLE' })
  expect(checkPayload('\ud800', 1000)).toMatchObject({ ok: false, code: 'UNSTORABLE' })
  expect(checkPayload('a\\\ude00', 1000)).toMatchObject({ ok: false, code: 'UNSTORABLE' })
  expect(checkPayload({ a: String.raw`\u0000 \ud800 \\u0000`, b: '😀' }, 1000)).toMatchObject({ ok: true })
})

test('a depth of 100 passes, 101 and cycles do not', () => {
  const nest = (depth: number): unknown => (depth === 0 ? 1 : [nest(depth - 1)])
  expect(checkPayload(nest(100), 1000)).toMatchObject({ ok: true })
  expect(checkPayload(nest(101), 1000)).toMatchObject({ ok: false, code: 'UNSTORABLE' })
  const cycle: Record<string, unknown> = {}
  cycle['a'] = cycle
  cycle['b'] = cycle
  expect(checkPayload(cycle, 1000)).toMatchObject({ ok: false, code: 'UNSTORABLE' })
})

test('branches that are shared a million times are refused without being written out', () => {
  let bomb: unknown = 'lol'
  for (let i = 0; i < 60; i++) bomb = [bomb, bomb]
  expect(checkPayload(bomb, MAX_STATE_BYTES)).toMatchObject({ ok: false, code: 'TOO_LARGE' })
  expect(checkPayload(Array.from({ length: 100_000 }).fill('x'.repeat(100_000)), MAX_STATE_BYTES)).toMatchObject({
    ok: false,
    code: 'TOO_LARGE',
  })
})

test('what passes is the same when it is read back', () => {
  fc.assert(
    fc.property(fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, withMap: true }), (value) => {
      const result = checkPayload(value, 10_000)
      if (!result.ok) return
      expect(result.bytes).toBe(Buffer.byteLength(result.text))
      // JSON has no -0 and no undefined fields; everything else is kept.
      expect(JSON.parse(result.text)).toEqual(JSON.parse(JSON.stringify(value)))
      expect(Object.keys((value as object) ?? {}).length).toBeGreaterThanOrEqual(
        Object.keys(JSON.parse(result.text) ?? {}).length,
      )
    }),
  )
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const result = checkPayload(value, 100_000)
      if (result.ok) expect(JSON.parse(result.text)).toEqual(JSON.parse(JSON.stringify(value)))
      else expect(result.code).toBe('UNSTORABLE')
    }),
  )
})
