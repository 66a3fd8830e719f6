import { expect, test } from 'vitest'
import { defineFlow } from '../../src/language/define-flow.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { allow } from './example-definition.ts'

test('a flow written in TypeScript is a valid definition', () => {
  const flow = defineFlow({
    name: 'typed',
    steps: {
      start: { type: 'transform', set: { x: 1 } },
      r: { type: 'route', after: ['start'], cases: [{ when: 'input.x', to: 'left' }], otherwise: 'right' },
      a: { type: 'wait', on: 'r:left', duration: 'PT1S' },
      b: { type: 'fail', on: 'r:right', after: { any: ['start'] }, message: 'no' },
      end: { type: 'notify', after: { atLeast: 1, of: ['a', 'b'] }, roles: ['ceo'], message: {} },
    },
  })
  expect(validateDefinition(flow, allow)).toMatchObject({ issues: [], warnings: [] })
})

test('names of steps and routes that do not exist are errors of the type checker', () => {
  const flow = defineFlow({
    name: 'wrong',
    steps: {
      r: { type: 'route', cases: [{ when: 'true', to: 'left' }], otherwise: 'right' },
      // @ts-expect-error there is no step "q"
      a: { type: 'transform', after: ['q'], set: {} },
      // @ts-expect-error the router has no route "up"
      b: { type: 'transform', on: 'r:up', set: {} },
      // @ts-expect-error a step cannot wait for itself
      c: { type: 'transform', after: { any: ['c'] }, set: {} },
      // @ts-expect-error a failure leads to a step that there is
      e: { type: 'transform', set: {}, onError: { goto: 'z' } },
      // @ts-expect-error there is no such step type
      d: { type: 'transfrom', set: {} },
    },
  })
  expect(validateDefinition(flow, allow).issues.map(({ code }) => code)).toEqual([
    'UNKNOWN_STEP_TYPE',
    'UNKNOWN_STEP',
    'UNKNOWN_ROUTE',
    'SELF_REFERENCE',
    'UNKNOWN_STEP',
  ])
})
