import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileInputSchema } from '../../../src/language/input-schema.ts'
import type { Json, JsonObject } from '../../../src/language/values.ts'
import { askAjv } from './ajv-oracle.ts'

/** ajv makes code of each schema, which takes it milliseconds. */
const RUNS = 1_000

const key = fc.constantFrom('a', 'b', 'ab', 'c')
const count = fc.integer({ min: 0, max: 3 })
const type = fc.constantFrom('object', 'array', 'string', 'number', 'integer', 'boolean', 'null')
const values = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<Json>(null, true, false, 0, 1, 2, 2.5, -1, '', 'a', 'ab', '2026-01-31', '😀'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value
const objects = fc.dictionary(key, values, { maxKeys: 4, noNullPrototype: true }) as fc.Arbitrary<JsonObject>

/** Schemas as people write them, and as nobody would. */
const schemas = fc.letrec<{ schema: Json; object: JsonObject }>((tie) => {
  const list = fc.array(tie('schema'), { minLength: 1, maxLength: 3 })
  const map = fc.dictionary(key, tie('schema'), { maxKeys: 3, noNullPrototype: true })
  const keywords: Record<string, fc.Arbitrary<unknown>> = {
    type: fc.oneof(type, fc.uniqueArray(type, { minLength: 1, maxLength: 3 })),
    enum: fc.array(values, { minLength: 1, maxLength: 3 }),
    const: values,
    ...Object.fromEntries(['maximum', 'minimum', 'exclusiveMaximum', 'exclusiveMinimum'].map((name) => [name, count])),
    multipleOf: fc.integer({ min: 1, max: 2 }),
    ...Object.fromEntries(
      ['maxLength', 'minLength', 'maxItems', 'minItems', 'maxContains', 'minContains', 'maxProperties', 'minProperties'].map(
        (name) => [name, count],
      ),
    ),
    pattern: fc.constantFrom('^a', 'b$', '.'),
    format: fc.constantFrom('date', 'email'),
    uniqueItems: fc.boolean(),
    required: fc.uniqueArray(key, { maxLength: 3 }),
    dependentRequired: fc.dictionary(key, fc.uniqueArray(key, { maxLength: 2 }), { maxKeys: 2, noNullPrototype: true }),
    ...Object.fromEntries(
      ['items', 'additionalProperties', 'unevaluatedProperties', 'contains', 'not', 'if', 'then', 'else', 'propertyNames'].map(
        (name) => [name, tie('schema')],
      ),
    ),
    unevaluatedItems: tie('schema'),
    ...Object.fromEntries(['allOf', 'anyOf', 'oneOf', 'prefixItems'].map((name) => [name, list])),
    properties: map,
    patternProperties: fc.dictionary(fc.constantFrom('^a', 'c'), tie('schema'), { maxKeys: 2, noNullPrototype: true }),
    dependentSchemas: map,
    $ref: fc.constantFrom('#/$defs/one', '#/$defs/two'),
  }
  const pair = fc
    .constantFrom(...Object.keys(keywords))
    .chain((name) => keywords[name]!.map((value): [string, unknown] => [name, value]))
  return {
    schema: fc.oneof({ depthSize: 'small' }, fc.boolean(), tie('object')),
    object: fc.array(pair, { maxLength: 4 }).map((pairs) => Object.fromEntries(pairs) as JsonObject),
  }
}).object

/** An input is an object, whatever else a root says. */
const plain = schemas.map((root): JsonObject => ({ ...root, type: 'object' }))
const documents = fc.oneof(
  plain,
  fc.tuple(plain, schemas, schemas).map(([root, one, two]): JsonObject => ({ ...root, $defs: { one, two } })),
)

const mentions = (schema: JsonObject, ...words: string[]): boolean =>
  words.some((word) => JSON.stringify(schema).includes(`"${word}"`))

test('ajv and Sluice accept the same schemas and inputs, and say the same of the others, word for word (D5)', () => {
  let compared = 0
  fc.assert(
    fc.property(documents, fc.array(objects, { minLength: 1, maxLength: 5 }), (schema, inputs) => {
      const { issues, warnings, check } = compileInputSchema(schema)
      const oracle = askAjv(schema)
      // of schemas by name ajv looks at those that are needed, each time anew
      if (!('$defs' in schema)) {
        // of fields that a pattern matches as well only when it looks at the pattern; and never at what has no effect
        if (!mentions(schema, 'patternProperties', '$ref', 'then', 'else', 'unevaluatedProperties', 'unevaluatedItems'))
          expect([schema, issues.length === 0]).toEqual([schema, oracle !== undefined])
        // nor at what it leaves out because it has no effect; so we warn of more
        if (oracle && issues.length === 0 && !mentions(schema, 'then', 'else', 'contains'))
          expect(warnings.map(({ message }) => message)).toEqual(expect.arrayContaining([...new Set(oracle.warnings)]))
      }
      if (!oracle || issues.length > 0) return
      for (const input of inputs) {
        const theirs = oracle.check(input)
        if (theirs === undefined) continue
        const ours = check(input).map(({ code, path, message }) => `${code} ${path.join('.')} ${message}`)
        compared++
        // it takes what it counted in one field for the next one, of fields that it walks
        if (
          mentions(schema, 'contains') &&
          mentions(schema, 'additionalProperties', 'unevaluatedProperties', 'patternProperties')
        )
          continue
        // it holds every item for looked at where there is a `contains`: the specification says those that fit
        if (mentions(schema, 'unevaluatedItems') && mentions(schema, 'contains')) continue
        // which of a value that fails was looked at is for each validator to say
        if (mentions(schema, 'unevaluatedItems', 'unevaluatedProperties')) expect(ours.length === 0).toBe(theirs.length === 0)
        // long messages are cut
        else expect(ours.map((text) => text.slice(0, 250))).toEqual(theirs.slice(0, 50).map((text) => text.slice(0, 250)))
      }
    }),
    { numRuns: RUNS },
  )
  expect(compared).toBeGreaterThan(RUNS)
})
