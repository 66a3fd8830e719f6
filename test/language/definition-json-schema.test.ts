import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, test } from 'vitest'
import { exampleFlows } from '../../examples/flows/all.ts'
import { definitionJsonSchema } from '../../src/language/definition-json-schema.ts'
import type { JsonObject } from '../../src/language/values.ts'
import { STEP_TYPES } from '../../src/language/steps/step-types.ts'
import { flowOf, step } from './example-definition.ts'

const schema = definitionJsonSchema()
const validate = new Ajv2020({ strict: true, allErrors: true }).compile(schema)

test.each(exampleFlows.map((flow) => [flow.name, flow]))('the example %s fits the published schema', (_, flow) => {
  expect([validate(flow), validate.errors]).toEqual([true, null])
})

test.each([
  ['an unknown field', { ...flowOf({ a: step() }), stepps: {} }],
  ['no steps', flowOf({})],
  ['an unknown step type', flowOf({ a: { type: 'shell' } })],
  ['a missing field', flowOf({ a: { type: 'transform' } })],
  ['an unknown field of a step', flowOf({ a: step({ sets: {} }) })],
  ['a step with a name that is none', flowOf({ 'a-b': step() })],
  ['a wrong retry', flowOf({ a: step({ retry: { attempts: 0 } }) })],
])('%s does not fit the published schema', (_, definition) => {
  expect(validate(definition)).toBe(false)
})

/** Every field that is declared, with its path, and what it says of itself. */
function fieldsOf(node: unknown, path: string): [string, unknown][] {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, inner]) => {
    if (key !== 'properties') return fieldsOf(inner, key === '$defs' ? path : `${path}.${key}`)
    return Object.entries(inner as JsonObject).flatMap(([name, field]): [string, unknown][] => [
      [`${path}.${name}`, (field as JsonObject)['description']],
      ...fieldsOf(field, `${path}.${name}`),
    ])
  })
}

test('every field of the published schema is explained, those of each step type too', () => {
  const fields = fieldsOf(schema, '').filter(([path]) => !/\.(after|onError)\..*\.(any|atLeast|of|goto)$/.test(path))
  expect(fields.map(([path]) => path)).toEqual(expect.arrayContaining(['.steps', ...STEP_TYPES.map((type) => `.${type}.type`)]))
  expect(fields.filter(([, description]) => !description).map(([path]) => path)).toEqual([])
})

test('`sluice schema definition` prints it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['src/main.ts', 'schema', 'definition'])
  expect(JSON.parse(stdout)).toEqual(schema)
})
