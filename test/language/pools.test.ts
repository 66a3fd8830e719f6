import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compile } from '../../src/language/compile.ts'
import type { Program } from '../../src/language/program.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { allow, flowOf, step } from './example-definition.ts'

const known = { ...allow, pools: new Set(['gpu', 'eu']) }
const work = { type: 'handler', handler: [...allow.handlers][0]!, with: {} }
const issuesOf = (steps: object, around: object = {}) =>
  validateDefinition({ ...flowOf(steps as never), ...around }, known).issues.map(({ code, path, hint }) => [
    code,
    path.join('.'),
    hint,
  ])
const programOf = (steps: object, around: object = {}): Program => {
  const compiled = compile({ ...flowOf(steps as never), ...around }, known)
  if ('issues' in compiled) throw new Error(JSON.stringify(compiled.issues))
  return compiled.program
}

test('a flow and its steps may name pools that are configured; another is refused, with what was probably meant (A1)', () => {
  expect(issuesOf({ a: { ...work, pool: 'gpu' } }, { pool: 'eu' })).toEqual([])
  expect(issuesOf({ a: { ...work, pool: 'default' } }, { pool: 'default' })).toEqual([])
  expect(issuesOf({ a: { ...work, pool: 'gpus' } }, { pool: 'elsewhere' })).toEqual([
    ['UNKNOWN_POOL', 'steps.a.pool', 'did you mean "gpu"?'],
    ['UNKNOWN_POOL', 'pool', undefined],
  ])
  // fullwidth letters look the same
  expect(issuesOf({ a: { ...work, pool: '\uff47\uff50\uff55' } })).toEqual([
    ['INVALID_NAME', 'steps.a.pool', 'did you mean "gpu"?'],
  ])
})

test('only steps that act on the outside run in a pool of their own, wherever they stand (C3)', () => {
  const map = { type: 'map', over: [1], step: { ...work, pool: 'gpu' } }
  expect(issuesOf({ a: map, b: { ...work, compensate: { ...work, pool: 'gpu' } } })).toEqual([])
  expect(issuesOf({ a: step({ pool: 'gpu' }), b: { ...map, pool: 'gpu' }, c: { type: 'flow', flow: 'x', pool: 'gpu' } })).toEqual(
    [
      ['INVALID_VALUE', 'steps.a.pool', 'the types that do are handler, http, query'],
      ['INVALID_VALUE', 'steps.b.pool', 'move pool into `step`'],
      ['INVALID_VALUE', 'steps.c.pool', 'the types that do are handler, http, query'],
    ],
  )
})

test('what names the pool of its flow runs in place, and a flow without pools costs nothing', () => {
  const {
    pool,
    usesPools,
    step: stepOf,
  } = programOf({ a: { ...work, pool: 'gpu' }, b: { ...work, pool: 'default' } }, { pool: 'gpu' })
  expect([pool, usesPools, stepOf('a')!.pool, stepOf('b')!.pool]).toEqual(['gpu', true, undefined, 'default'])
  const plain = programOf({ a: { ...work, pool: 'default' } }, { pool: 'default' })
  expect([plain.pool, plain.usesPools]).toEqual([undefined, undefined])
  expect(programOf({ a: { type: 'map', over: [1], step: { ...work, pool: 'gpu' } } }).usesPools).toBe(true)
})

test('the flow of docs/workers.md runs in one pool, and one step of it in another', () => {
  const page = readFileSync(new URL('../../docs/workers.md', import.meta.url), 'utf8')
  const definition: unknown = JSON.parse(/```json pooled\n(.+?)```/s.exec(page)![1]!)
  const compiled = compile(definition, { ...known, handlers: new Set(['render']) })
  const program = 'program' in compiled ? compiled.program : undefined
  expect([program?.pool, program?.step('render')?.pool]).toEqual(['eu', 'gpu'])
})
