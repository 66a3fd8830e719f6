import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cpuMs } from '../harness/cpu-time.ts'
import { compileInputSchema } from '../../src/language/input-schema.ts'
import type { JsonObject } from '../../src/language/values.ts'

const check = (schema: JsonObject, input: JsonObject): string[] => {
  const compiled = compileInputSchema(schema)
  expect(compiled.issues).toEqual([])
  return compiled.check(input).map(({ code, path, hint }) => `${code} ${path.join('.')}${hint ? ` ${hint}` : ''}`)
}
const faults = (schema: JsonObject): string[] =>
  compileInputSchema(schema).issues.map(({ path, message }) => `${path.join('.')}: ${message}`)

test('all that is wrong with an input is told, with paths that start with "input" (D5)', () => {
  const schema: JsonObject = {
    type: 'object',
    required: ['name', 'cost'],
    additionalProperties: false,
    properties: {
      name: { type: 'string', minLength: 2 },
      cost: { type: 'number' },
      tags: { type: 'array', items: { enum: ['a', 'b'] } },
    },
  }
  expect(check(schema, { name: 'x', tag: 1, tags: ['a', 'c'] })).toEqual([
    'REQUIRED input.cost',
    'UNKNOWN_FIELD input.tag did you mean "tags"?',
    'INVALID_VALUE input.name',
    'INVALID_VALUE input.tags.1',
  ])
  expect(check(schema, { name: 'xx', cost: 1 })).toEqual([])
})

test('values are neither coerced nor filled in', () => {
  const input = { n: '5' }
  const schema: JsonObject = { type: 'object', properties: { n: { type: 'number' }, d: { type: 'number', default: 1 } } }
  expect(check(schema, input)).toEqual(['INVALID_TYPE input.n'])
  expect(input).toEqual({ n: '5' })
})

test('what every object inherits does not count as present', () => {
  expect(check({ type: 'object', required: ['toString', '__proto__'] }, {})).toEqual([
    'REQUIRED input.toString',
    'REQUIRED input.__proto__',
  ])
})

test('each pattern is its own, and none can backtrack', () => {
  const schema: JsonObject = {
    type: 'object',
    properties: {
      a: { type: 'string', pattern: '^a+$' },
      b: { type: 'string', pattern: '^b+$' },
      evil: { type: 'string', pattern: '^(a+)+$' },
    },
  }
  expect(check(schema, { a: 'aa', b: 'bb' })).toEqual([])
  expect(check(schema, { a: 'bb', b: 'aa' })).toEqual(['INVALID_VALUE input.a', 'INVALID_VALUE input.b'])
  const started = cpuMs()
  expect(check(schema, { evil: `${'a'.repeat(50_000)}b` })).toEqual(['INVALID_VALUE input.evil'])
  expect(cpuMs() - started).toBeLessThan(1_000)
})

test('formats are checked', () => {
  const schema: JsonObject = {
    type: 'object',
    properties: { at: { type: 'string', format: 'date-time' }, mail: { type: 'string', format: 'email' } },
  }
  expect(check(schema, { at: '2026-01-31T09:00:00Z', mail: 'ada@example.org' })).toEqual([])
  expect(check(schema, { at: 'tomorrow', mail: 'ada' })).toEqual(['INVALID_VALUE input.at', 'INVALID_VALUE input.mail'])
})

test.each<[string, JsonObject, string]>([
  ['a remote reference', { $ref: 'https://example.org/schema' }, 'input.$ref: references lead to'],
  ['a reference to nothing', { $ref: '#/$defs/nope', $defs: {} }, 'input.$ref: references lead to'],
  ['$async', { $async: true, type: 'object' }, 'input.$async: $async is not supported'],
  ['$id', { $id: 'x', type: 'object' }, 'input.$id: $id is not supported'],
  ['$dynamicRef', { $dynamicRef: '#x' }, 'input.$dynamicRef: $dynamicRef is not supported'],
  ['another draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, 'input.$schema: must be'],
  ['an unknown keyword', { type: 'object', requird: ['a'] }, 'input.requird: there is no such keyword'],
  ['an unknown type', { type: 'object', properties: { a: { type: 'strng' } } }, 'input.properties.a.type: '],
  ['a pattern with look-ahead', { properties: { a: { pattern: '(?=a)' } } }, 'input.properties.a.pattern: '],
  ['a bad pattern as a key', { patternProperties: { '(': true } }, 'input.patternProperties.(: '],
  ['an unknown format', { properties: { a: { format: 'emial' } } }, 'input.properties.a.format: '],
  ['a schema that is no object', { properties: { a: 5 } }, 'input.properties.a: a schema is an object'],
  ['an input that is no object', { type: 'array' }, 'input.type: an input is always an object'],
  ['a huge schema', { description: 'x'.repeat(60_000) }, 'input: the schema is larger than'],
])('%s in a schema is an issue, not an exception', (_, schema, message) => {
  expect(faults(schema)).toEqual(expect.arrayContaining([expect.stringContaining(message)]))
  expect(compileInputSchema(schema).check({})).not.toEqual([])
})

test('all mistakes of a schema are told at once', () => {
  expect(faults({ type: 'object', propertis: {}, properties: { a: { pattern: '(' }, b: { minimum: '5' } } })).toHaveLength(3)
})

test('references that double the work at each level end', () => {
  const $defs: JsonObject = { end: { type: 'object' } }
  for (let i = 0; i < 30; i++) {
    const next = { $ref: `#/$defs/${i === 0 ? 'end' : `d${i - 1}`}` }
    $defs[`d${i}`] = { allOf: [next, next] }
  }
  expect(check({ $ref: '#/$defs/d29', $defs }, {})).toEqual(['INVALID_VALUE input'])
  expect(check({ $ref: '#/$defs/d3', $defs: { ...$defs } }, {})).toEqual([])
  expect(check({ $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }] } } }, {})).toEqual(['INVALID_VALUE input'])
})

test('a list of schemas on a long list ends', () => {
  const allOf = Array.from({ length: 1_000 }, () => ({ items: { type: 'string' } }))
  const schema: JsonObject = { type: 'object', properties: { l: { type: 'array', allOf } } }
  expect(check(schema, { l: ['a'] })).toEqual([])
  const started = cpuMs()
  expect(check(schema, { l: Array.from({ length: 200_000 }, () => 'a') })).toEqual(['INVALID_VALUE input'])
  expect(cpuMs() - started).toBeLessThan(3_000)
})

test('a recursive schema follows its data', () => {
  const schema: JsonObject = {
    $ref: '#/$defs/node',
    $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' }, n: { type: 'number' } }, required: ['n'] } },
  }
  expect(check(schema, { n: 1, next: { n: 2, next: { next: { n: 1 } } } })).toEqual(['REQUIRED input.next.next.n'])
})

test('unique items of a long list are told apart quickly, whatever the order of their fields', () => {
  const schema: JsonObject = { type: 'object', properties: { l: { type: 'array', uniqueItems: true } } }
  const l = Array.from({ length: 50_000 }, (_, a) => ({ a, b: 1 }))
  const started = cpuMs()
  expect(check(schema, { l })).toEqual([])
  expect(check(schema, { l: [...l, { b: 1, a: 7 }] })).toEqual(['INVALID_VALUE input.l'])
  expect(cpuMs() - started).toBeLessThan(2_000)
})

test('a million mistakes are told as fifty', () => {
  const schema: JsonObject = { type: 'object', properties: { l: { type: 'array', items: { type: 'string' } } } }
  expect(check(schema, { l: Array.from({ length: 300_000 }, () => 1) })).toHaveLength(50)
})

test('messages quote nothing of the input', () => {
  const { issues, check: run } = compileInputSchema({
    type: 'object',
    properties: { a: { const: 1 }, b: { maxLength: 1, type: 'string' } },
  })
  expect(issues).toEqual([])
  expect(JSON.stringify(run({ a: 'hunter2', b: 'hunter2' }))).not.toContain('hunter2')
})

test('any JSON object as a schema is compiled or refused, and then checks any input, without an exception', () => {
  const word = fc.constantFrom(
    'type',
    'properties',
    'items',
    'allOf',
    '$ref',
    'pattern',
    'enum',
    'required',
    'minimum',
    '$defs',
    'format',
    'x',
  )
  const value = fc.oneof(fc.constantFrom('object', 'string', '#', '#/$defs/x', '^a$', 1, true), fc.jsonValue({ maxDepth: 2 }))
  const schemas = fc.letrec((tie) => ({
    node: fc.dictionary(word, fc.oneof({ depthSize: 'small' }, value, tie('node'), fc.array(tie('node'), { maxLength: 3 })), {
      maxKeys: 4,
    }),
  })).node
  fc.assert(
    fc.property(schemas, fc.dictionary(fc.oneof(fc.string(), fc.constant('valueOf')), fc.jsonValue()), (document, input) => {
      const compiled = compileInputSchema(document as JsonObject)
      expect(Array.isArray(compiled.check(input as JsonObject))).toBe(true)
    }),
    { numRuns: 300 },
  )
})
