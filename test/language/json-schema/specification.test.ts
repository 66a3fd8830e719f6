import { expect, test } from 'vitest'
import { compileInputSchema } from '../../../src/language/input-schema.ts'
import type { Json, JsonObject } from '../../../src/language/values.ts'

/** Cases that the specification (2020-12) decides and that validators get wrong: what fits, and what does not. */
const CASES: readonly [string, JsonObject, Json[], Json[]][] = [
  ['whole numbers may be written with a point', { type: 'integer' }, [1, 1.0, -0, 1e300], [1.5, '1', true]],
  ['an integer is a number', { type: 'number' }, [1, 1.5], ['1', null]],
  ['true is not 1, nor false 0', { enum: [1, false] }, [1, false], [true, 0]],
  ['-0 is 0', { const: 0 }, [0, -0], [false]],
  [
    'the order of fields does not count',
    { const: { a: 1, b: [2] } },
    [{ b: [2], a: 1 }],
    [{ a: 1 }, { a: 1, b: [2], c: 3 }, [1]],
  ],
  ['a list is no object', { const: [] }, [[]], [{}, 0]],
  ['what is inherited is no field', { const: { toString: 1 } }, [{ toString: 1 }], [{ a: 1 }]],
  ['lengths count characters', { maxLength: 2, minLength: 2 }, ['ab', '😀😀'], ['😀', 'abc']],
  ['multiples of decimals', { multipleOf: 0.01 }, [4.35, 19.99, 0.1, 1e6, 0], [4.355, 0.001]],
  ['multiples of tiny numbers', { multipleOf: 1e-8 }, [12_391_239_123], []],
  ['a division that overflows', { multipleOf: 0.123456789 }, [], [1e308]],
  ['multiples of large integers', { multipleOf: 2 }, [9_007_199_254_740_992], [9_007_199_254_740_991]],
  ['patterns are not anchored', { pattern: 'b' }, ['abc', 5], ['ac']],
  [
    'keywords of other types say nothing',
    { minLength: 3, minimum: 3, minItems: 3, minProperties: 3 },
    [null, true],
    ['a', 1, [], {}],
  ],
  [
    'unique items by value',
    { uniqueItems: true },
    [
      [1, '1', true, [1], { a: 1 }],
      ['a,b', 'a', 'b'],
    ],
    [
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      [1, 1.0],
      [[0], [-0]],
    ],
  ],
  [
    'first items, and the others',
    { prefixItems: [{ type: 'string' }, true], items: { type: 'number' } },
    [[], ['a'], ['a', {}, 1]],
    [[1], ['a', {}, 'b']],
  ],
  ['no items but the first', { prefixItems: [true], items: false }, [[], [1]], [[1, 2]]],
  ['a list that contains', { contains: { type: 'string' } }, [['a'], [1, 'a'], 'no list'], [[], [1]]],
  [
    'how often it contains',
    { contains: { const: 1 }, minContains: 2, maxContains: 3 },
    [
      [1, 1],
      [1, 2, 1, 1],
    ],
    [[1], [1, 1, 1, 1]],
  ],
  ['at most so often, maybe never', { contains: { const: 1 }, minContains: 0, maxContains: 1 }, [[], [1]], [[1, 1]]],
  [
    'others are those that neither name nor pattern says',
    { properties: { a: true }, patternProperties: { '^v': true }, additionalProperties: false },
    [{ a: 1, vx: 2 }],
    [{ b: 1 }],
  ],
  ['others have a schema', { properties: { a: true }, additionalProperties: { type: 'number' } }, [{ a: '', b: 1 }], [{ b: '' }]],
  [
    'others are those of the same schema',
    { allOf: [{ properties: { a: true } }], additionalProperties: { type: 'number' } },
    [{ a: 1 }],
    [{ a: '' }],
  ],
  ['names have a schema', { propertyNames: { maxLength: 2 } }, [{ ab: 1 }, {}], [{ abc: 1 }]],
  ['what one field requires', { dependentRequired: { a: ['b', 'c'] } }, [{}, { a: 1, b: 1, c: 1 }, { b: 1 }], [{ a: 1, b: 1 }]],
  ['what one field makes of the others', { dependentSchemas: { a: { required: ['b'] } } }, [{}, { a: 1, b: 1 }], [{ a: 1 }]],
  ['exactly one', { oneOf: [{ type: 'integer' }, { minimum: 2 }] }, [1, 2.5], [3, 1.5]],
  ['not', { not: { properties: { a: { type: 'string' } } } }, [{ a: 1 }], [{ a: '' }, {}, 1]],
  ['then and else', { if: { const: 1 }, then: false, else: { type: 'string' } }, ['a'], [1, 2]],
  ['references keep their neighbours', { $ref: '#/$defs/a', maximum: 3, $defs: { a: { minimum: 1 } } }, [2], [0, 4]],
  [
    'a reference to the whole',
    { properties: { next: { $ref: '#' } }, additionalProperties: false },
    [{ next: { next: {} } }],
    [{ next: { last: 1 } }],
  ],
  [
    'unevaluated sees into branches that fit',
    { anyOf: [{ properties: { a: { const: 1 } }, required: ['a'] }, { properties: { b: true } }], unevaluatedProperties: false },
    [{ a: 1 }, { b: 1 }, { a: 1, b: 1 }],
    [{ a: 2 }, { c: 1 }],
  ],
  [
    'unevaluated sees through references',
    { $ref: '#/$defs/a', properties: { b: true }, unevaluatedProperties: false, $defs: { a: { properties: { a: true } } } },
    [{ a: 1, b: 1 }],
    [{ c: 1 }],
  ],
  [
    'unevaluated does not see its cousins',
    { allOf: [{ properties: { a: true } }, { unevaluatedProperties: false }] },
    [{}],
    [{ a: 1 }],
  ],
  [
    'unevaluated sees the way that was taken',
    {
      if: { properties: { a: { const: 1 } }, required: ['a'] },
      then: { properties: { b: true } },
      else: { properties: { c: true } },
      unevaluatedProperties: false,
    },
    [{ a: 1, b: 1 }, { c: 1 }, {}],
    [{ a: 1, c: 1 }, { a: 2 }, { b: 1 }],
  ],
  [
    'unevaluated sees what one field brings',
    { properties: { a: true }, dependentSchemas: { a: { properties: { b: true } } }, unevaluatedProperties: false },
    [{ a: 1, b: 1 }],
    [{ b: 1 }],
  ],
  ['nothing is seen in `not`', { not: { not: { properties: { a: true } } }, unevaluatedProperties: false }, [{}], [{ a: 1 }]],
  [
    'unevaluated in `not` sees its own',
    { not: { allOf: [{ properties: { a: true } }], unevaluatedProperties: false } },
    [{ b: 1 }],
    [{ a: 1 }, {}],
  ],
  [
    'unevaluated is about this object, not those in it',
    { properties: { a: { properties: { b: true } } }, unevaluatedProperties: false },
    [{ a: { c: 1 } }],
    [{ b: 1 }],
  ],
  [
    'unevaluated of a schema inside counts outside',
    { allOf: [{ unevaluatedProperties: true }], unevaluatedProperties: false },
    [{ a: 1 }],
    [],
  ],
  [
    'others count as evaluated',
    { additionalProperties: { type: 'number' }, unevaluatedProperties: false },
    [{ a: 1 }],
    [{ a: '' }],
  ],
  [
    'unevaluated has a schema',
    { properties: { a: true }, unevaluatedProperties: { type: 'number' } },
    [{ a: '', b: 1 }],
    [{ b: '' }],
  ],
  ['unevaluated items follow the first', { prefixItems: [true], unevaluatedItems: false }, [[1]], [[1, 2]]],
  [
    'the longest of the branches counts',
    { anyOf: [{ prefixItems: [true] }, { prefixItems: [true, true] }], unevaluatedItems: false },
    [[1, 2]],
    [[1, 2, 3]],
  ],
  [
    'what is contained is evaluated',
    { prefixItems: [true], contains: { type: 'string' }, unevaluatedItems: false },
    [
      [1, 'a'],
      ['a', 'b', 'c'],
    ],
    [
      [1, 2],
      [1, 2, 'a'],
    ],
  ],
  ['items of a list in a list are its own', { items: { prefixItems: [true] }, unevaluatedItems: false }, [[[1, 2]]], []],
  ['unevaluated items have a schema', { prefixItems: [true], unevaluatedItems: { type: 'number' } }, [['a', 1]], [['a', 'b']]],
]

test.each(CASES)('JSON Schema: %s', (_, schema, fitting, failing) => {
  const { $defs, ...rest } = schema
  // an input is an object: the value is a field of it, unless the schema speaks of itself
  const whole = JSON.stringify(schema).includes('"#"')
  const { issues, check } = compileInputSchema(whole ? schema : { properties: { value: rest }, ...($defs && { $defs }) })
  expect(issues).toEqual([])
  const verdict = (value: Json): Json[] => [value, check(whole ? value : { value }).length === 0]
  expect(fitting.map(verdict)).toEqual(fitting.map((value) => [value, true]))
  expect(failing.map(verdict)).toEqual(failing.map((value) => [value, false]))
})
