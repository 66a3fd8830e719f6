import { expect, test } from 'vitest'
import { compile } from '../../src/language/compile.ts'
import { derivePlaces } from '../../src/language/derived-places.ts'
import type { JsonObject } from '../../src/language/values.ts'
import { sensitivePlaces } from '../../src/language/sensitive.ts'
import { MASK } from '../../src/masking/mark.ts'
import { maskJson } from '../../src/masking/mask.ts'

const masked = (schema: JsonObject, input: JsonObject): unknown =>
  maskJson(input, { places: sensitivePlaces(schema)!(input) }).value
const secret = { type: 'string', sensitive: true }

test('a mark is found wherever a schema can hold one (B9)', () => {
  const input = { a: 'x', b: 'y' }
  const only = { a: MASK, b: 'y' }
  const properties = { a: secret }
  expect(masked({ properties }, input)).toEqual(only)
  for (const keyword of ['allOf', 'anyOf', 'oneOf']) expect(masked({ [keyword]: [{}, { properties }] }, input)).toEqual(only)
  for (const keyword of ['if', 'then', 'else']) expect(masked({ [keyword]: { properties } }, input)).toEqual(only)
  expect(masked({ dependentSchemas: { b: { properties } } }, input)).toEqual(only)
  expect(masked({ $ref: '#/$defs/it', $defs: { it: { properties } } }, input)).toEqual(only)
  expect(masked({ patternProperties: { '^a': secret } }, input)).toEqual(only)
  expect(masked({ properties: { b: {} }, additionalProperties: secret }, input)).toEqual(only)
  expect(masked({ properties: { b: {} }, unevaluatedProperties: secret }, input)).toEqual(only)
  expect(masked({ sensitive: true }, input)).toBe(MASK)
})

test('items are found one by one, by their place and anywhere', () => {
  const list = [
    { s: 'x', t: 1 },
    { s: 'y', t: 2 },
  ]
  const hidden = list.map((item) => ({ ...item, s: MASK }))
  expect(masked({ properties: { list: { items: { properties: { s: secret } } } } }, { list })).toEqual({ list: hidden })
  expect(masked({ properties: { list: { contains: { properties: { s: secret } } } } }, { list })).toEqual({ list: hidden })
  expect(masked({ properties: { list: { prefixItems: [{ properties: { s: secret } }] } } }, { list })).toEqual({
    list: [hidden[0], list[1]],
  })
})

test('a schema that refers to itself is followed as deep as the input goes', () => {
  const schema = {
    $defs: { node: { properties: { key: secret, next: { $ref: '#/$defs/node' } }, anyOf: [{ $ref: '#/$defs/node' }] } },
    $ref: '#/$defs/node',
  }
  expect(masked(schema, { key: 'a', next: { key: 'b', next: { plain: 'c' } } })).toEqual({
    key: MASK,
    next: { key: MASK, next: { plain: 'c' } },
  })
})

test('an input that takes too long to judge is hidden whole, and a schema without marks costs nothing', () => {
  const schema = { properties: { list: { items: { allOf: Array.from({ length: 50 }, () => ({ properties: { s: secret } })) } } } }
  expect(masked(schema, { list: Array.from({ length: 10_000 }, () => ({ s: 'x' })) })).toBe(MASK)
  expect(sensitivePlaces({ properties: { a: { type: 'string' } } })).toBeUndefined()
})

test('it is true or false in a schema, nothing else (D5)', () => {
  const definition = (sensitive: unknown) => ({
    name: 'x',
    input: { type: 'object', properties: { a: { type: 'string', sensitive } } },
    steps: { a: { type: 'transform', set: {} } },
  })
  const allow = { roles: new Set<string>(), handlers: new Set<string>() }
  expect(compile(definition(true), allow)).toHaveProperty('program')
  expect(compile(definition('yes'), allow)).toMatchObject({
    issues: [{ code: 'INVALID_SCHEMA', path: ['input', 'properties', 'a', 'sensitive'] }],
  })
})

test('what templates take from sensitive places is sensitive where they put it, as much of it as they take (B9)', () => {
  const set = {
    copy: '${{ input.a.s }}',
    parent: '${{ input.a }}',
    text: 'x ${{ input.a.s }}',
    by_key: '${{ input["a"]["s"] }}',
    computed: '${{ input.list[int(input.n)].s }}',
    plain_item: '${{ input.list[int(input.n)].t }}',
    made: '${{ input.list.map(item, item.t) }}',
    asked: '${{ has(input.a.s) ? 1 : 2 }}',
    free: '${{ input.n }}',
    nested: { deep: ['${{ input.a.s }}', '${{ input.n }}'] },
  }
  const definition = {
    name: 'x',
    steps: {
      one: { type: 'transform', set },
      two: { type: 'transform', after: ['one'], set: { again: '${{ steps.one.output }}', free: '${{ steps.one.output.free }}' } },
      ask: { type: 'agent', after: ['two'], role: 'ceo', subject: '', request: { it: '${{ steps.two.output.again.copy }}' } },
    },
    output: { all: '${{ steps.two.output }}' },
  }
  const compiled = compile(definition, { roles: new Set(['ceo']), handlers: new Set() })
  if (!('program' in compiled)) throw new Error(JSON.stringify(compiled.issues))
  const input = { a: { s: 'x', t: 1 }, list: [{ s: 'x', t: 1 }], n: 0 }
  const schema = { properties: { a: { properties: { s: secret } }, list: { items: { properties: { s: secret } } } } }
  const places = derivePlaces(compiled.program, sensitivePlaces(schema)!(input))
  const one = {
    ...{
      copy: 'x',
      parent: { s: 'x', t: 1 },
      text: 'x x',
      by_key: 'x',
      computed: 'x',
      plain_item: 1,
      made: [1],
      asked: 1,
      free: 0,
    },
    nested: { deep: ['x', 0] },
  }
  const hidden = {
    ...{
      copy: MASK,
      parent: { s: MASK, t: 1 },
      text: MASK,
      by_key: MASK,
      computed: MASK,
      plain_item: 1,
      made: MASK,
      asked: MASK,
    },
    ...{ free: 0, nested: { deep: [MASK, 0] } },
  }
  const show = (value: unknown, where: Parameters<typeof maskJson>[1]['places']) => maskJson(value, { places: where }).value
  expect(show(one, places.steps.get('one')?.output)).toEqual(hidden)
  expect(show({ again: one, free: 0 }, places.steps.get('two')?.output)).toEqual({ again: hidden, free: 0 })
  expect(show({ it: 'x' }, places.steps.get('ask')?.given)).toEqual({ it: MASK })
  expect(show({ all: { again: one, free: 0 } }, places.output)).toEqual({ all: { again: hidden, free: 0 } })
})
