/** DateTime, Duration and JSON: strict in, one form out. */
import fc from 'fast-check'
import { graphql, parseValue } from 'graphql'
import type { GraphQLScalarType } from 'graphql'
import { describe, expect, test } from 'vitest'
import { formatDuration, parseDateTime, parseDuration } from '../../src/api/scalars.ts'
import { schema } from '../../src/api/schema.ts'

const scalar = (name: string) => schema.getType(name) as GraphQLScalarType

describe('DateTime', () => {
  test('every date comes back from its text', () => {
    const dates = fc.date({
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    })
    fc.assert(
      fc.property(dates, (date) => {
        expect(parseDateTime(scalar('DateTime').serialize(date) as string)).toEqual(date)
      }),
    )
  })

  test.each([
    ['2026-11-22T01:14:00Z', '2026-11-22T01:14:00.000Z'],
    ['2026-11-22T01:14:00.5+02:00', '2026-11-21T23:14:00.500Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2000-02-29T00:00:00.123456Z', '2000-02-29T00:00:00.123Z'],
  ])('%s is %s', (text, out) => {
    expect(scalar('DateTime').serialize(parseDateTime(text))).toBe(out)
  })

  test.each([
    '2026-11-22',
    '2026-11-22 01:14:00Z',
    '2026-11-22T01:14Z',
    '2026-11-22T01:14:00',
    '2026-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T23:59:60Z',
    '2026-01-01T00:00:00+24:00',
    '1795312949',
    '',
  ])('"%s" is refused', (text) => {
    expect(parseDateTime(text)).toBeUndefined()
  })

  test('a number is refused, though a Date could be made of it', () => {
    expect(() => scalar('DateTime').parseValue(1_795_312_949_000)).toThrow('RFC 3339')
  })
})

describe('Duration', () => {
  test('every whole number of milliseconds comes back from its text', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e13 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
  })

  test.each([
    [0, 'PT0S'],
    [300, 'PT0.3S'],
    [90_500, 'PT1M30.5S'],
    [7 * 86_400_000, 'P7D'],
    [90_000_000, 'P1DT1H'],
  ])('%i ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test('weeks and a tenth of a second are understood', () => {
    expect(parseDuration('P2W')).toBe(14 * 86_400_000)
    expect(parseDuration('PT0.1S')).toBe(100)
  })

  test.each([
    'P',
    'PT',
    'P1DT',
    'P1Y',
    'P1M',
    '-PT1S',
    'PT-1S',
    'PT1.S',
    'PT1,5S',
    'PT1.2345S',
    '1S',
    'pt1s',
    'PT1H1H',
    'PT1S1M',
    '',
  ])('"%s" is refused', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })
})

describe('JSON', () => {
  const json = scalar('JSON')

  test('any JSON value passes unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 20 }), (value) => {
        expect(json.parseValue(value)).toBe(value)
      }),
    )
  })

  test('100 levels pass, 101 are refused, and 1,000,000 do not break anything', () => {
    const nested = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as unknown
    expect(() => json.parseValue(nested(100))).not.toThrow()
    expect(() => json.parseValue(nested(101))).toThrow('deeper than 100')
    expect(() => json.parseValue(nested(1_000_000))).toThrow('deeper than 100')
  })

  test('a literal is the value it looks like, a key named __proto__ stays a key, variables inside keep their place', () => {
    const literal = parseValue('{ a: 1, b: [1.5, "x", true, null], __proto__: { c: $v }, missing: $none }')
    const parsed = json.parseLiteral(literal, { v: 'given' }) as Record<string, unknown>
    expect(Object.entries(parsed)).toEqual([
      ['a', 1],
      ['b', [1.5, 'x', true, null]],
      ['__proto__', { c: 'given' }],
      ['missing', null],
    ])
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype)
    expect(({} as Record<string, unknown>)['c']).toBeUndefined()
  })

  test('an enum in a literal is refused: a string has quotes', async () => {
    const { errors } = await graphql({
      schema,
      source: 'mutation { startExecution(input: { flow: "x", input: { a: RED } }) { __typename } }',
    })
    expect(errors![0]!.message).toContain('strings have quotes')
  })
})

test('every scalar of ours says where it is specified', () => {
  for (const name of ['DateTime', 'Duration', 'JSON']) expect(scalar(name).specifiedByURL).toMatch(/^https:/)
})
