import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MAX_KEY_CHARS } from '../../src/language/around/key.ts'
import { retentionDays } from '../../src/language/around/retention.ts'
import { compile } from '../../src/language/compile.ts'
import { definitionJsonSchema } from '../../src/language/definition-json-schema.ts'
import type { Program } from '../../src/language/program.ts'
import type { JsonObject } from '../../src/language/values.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { allow, flowOf, step } from './example-definition.ts'

const flow = (around: object): JsonObject => ({ ...flowOf({ a: step() }), ...around }) as JsonObject
const programOf = (around: object): Program => {
  const compiled = compile(flow(around), allow)
  if ('issues' in compiled) throw new Error(JSON.stringify(compiled.issues))
  return compiled.program
}
const issuesOf = (around: object): string[] =>
  validateDefinition(flow(around), allow).issues.map(({ code, path }) => `${path.join('.')} ${code}`)

test('a flow that says nothing has no limits of its own', () => {
  const { concurrency, rates, priority, onFailure } = programOf({})
  expect([concurrency, rates, priority, onFailure]).toEqual([undefined, undefined, undefined, undefined])
})

test('what a definition says around its flow is compiled, and fits the published schema', () => {
  const around = {
    concurrency: { key: '${{ input.customer }}', max: 2, onLimit: 'cancelOlder' },
    rate: [
      { max: 10, per: 'PT1M' },
      { max: 1, per: 'PT2S', key: 'a-${{ input.customer }}', each: 'initiator' },
    ],
    priority: -7,
    onFailure: { flow: 'ann/clean up' },
    retention: { payloads: 'P1W' },
  }
  const program = programOf(around)
  expect(program.concurrency).toMatchObject({ max: 2, onLimit: 'cancelOlder', maxQueued: 1000 })
  expect(program.concurrency!.key!.of({ customer: 'x' })).toEqual({ ok: true, value: 'x' })
  expect(program.rates).toMatchObject([
    { max: 10, windowSeconds: 60, eachInitiator: false },
    { max: 1, windowSeconds: 2, eachInitiator: true },
  ])
  expect(program.rates![1]!.key!.of({ customer: 7 })).toEqual({ ok: true, value: 'a-7' })
  expect(program).toMatchObject({ priority: -7, onFailure: { flow: 'ann/clean up' } })
  expect(retentionDays(around.retention)).toBe(7)
  const validate = new Ajv2020({ strict: true }).compile(definitionJsonSchema())
  expect([validate(flow(around)), validate.errors]).toEqual([true, null])
})

test('what is wrong around a flow is told with its path', () => {
  expect(issuesOf({ concurrency: { max: 0, onLimit: 'drop', keys: 'x' } }).toSorted()).toEqual([
    'concurrency.keys UNKNOWN_FIELD',
    'concurrency.max INVALID_VALUE',
    'concurrency.onLimit INVALID_VALUE',
  ])
  expect(issuesOf({ concurrency: { max: 1, key: '${{ steps.a.output }}' } })).toContain('concurrency.key UNKNOWN_STEP')
  expect(issuesOf({ concurrency: { max: 1, key: '${{ execution.id }}' } })).toEqual(['concurrency.key INVALID_EXPRESSION'])
  expect(issuesOf({ concurrency: { max: 1, key: '${{ input.' } })).toEqual(['concurrency.key INVALID_EXPRESSION'])
  expect(issuesOf({ rate: { max: 1, per: 'PT0.5S' } })).toContain('rate.per INVALID_DURATION')
  expect(issuesOf({ rate: [{ max: 1, per: 'PT1.5S' }] })).toEqual(['rate.0.per INVALID_VALUE'])
  expect(issuesOf({ rate: [{ max: 1, per: 'PT1S', key: '${{ execution.id }}' }] })).toEqual(['rate.0.key INVALID_EXPRESSION'])
  expect(issuesOf({ rate: [] })).toEqual(['rate INVALID_VALUE'])
  expect(issuesOf({ priority: 101 })).toEqual(['priority INVALID_VALUE'])
  expect(issuesOf({ onFailure: { flow: 'a/b/c' } })).toEqual(['onFailure.flow INVALID_VALUE'])
  expect(issuesOf({ retention: { payloads: 'PT36H' } })).toEqual(['retention.payloads INVALID_DURATION'])
})

test('nothing waits where one more is refused, and a field that says how many gets a warning', () => {
  const { warnings } = validateDefinition(flow({ concurrency: { max: 1, onLimit: 'refuse', maxQueued: 5 } }), allow)
  expect(warnings.map(({ code, path }) => `${path.join('.')} ${code}`)).toEqual(['concurrency.maxQueued NO_EFFECT'])
  expect(programOf({ concurrency: { max: 1, onLimit: 'refuse' } }).concurrency!.maxQueued).toBe(0)
})

test('a key is a text that can be stored, the same for the same input, or says why it is none', () => {
  const key = programOf({ concurrency: { max: 1, key: '${{ input.x }}' } }).concurrency!.key!
  expect(key.of({}).ok).toBe(false)
  expect(key.of({ x: 'é'.repeat(MAX_KEY_CHARS) }).ok).toBe(true)
  expect(key.of({ x: 'x'.repeat(MAX_KEY_CHARS + 1) }).ok).toBe(false)
  fc.assert(
    fc.property(fc.jsonValue(), (x) => {
      const made = key.of({ x } as JsonObject)
      expect(key.of(structuredClone({ x }) as JsonObject)).toEqual(made)
      if (made.ok) expect(made.value.isWellFormed() && !made.value.includes('\0')).toBe(true)
    }),
  )
})
