import { expect, test } from 'vitest'
import { validateDefinition } from '../../src/language/validate.ts'
import { allow, flowOf, step } from './example-definition.ts'

const warningsOf = (value: unknown): string[] => {
  const { issues, warnings } = validateDefinition(value, allow)
  expect(issues).toEqual([])
  return warnings.map(({ code, path, message }) => `${path.join('.')} ${code}: ${message}`)
}
const pay = (more: object = {}): object => ({ type: 'handler', handler: 'charge_card', timeout: 'PT10S', ...more })

test('what waits without a timeout is told (D4)', () => {
  const steps = {
    signal: { type: 'signal', signals: ['paid'] },
    date: { type: 'wait', until: '${{ input.date }}' },
    fine: { type: 'wait', duration: 'P1D' },
    bounded: { type: 'signal', signals: ['paid'], timeout: 'P1D' },
    pay: pay({ timeout: undefined }),
  }
  expect(warningsOf(flowOf(JSON.parse(JSON.stringify(steps))))).toEqual([
    'steps.signal UNBOUNDED: it waits as long as the flow may: P30D',
    'steps.date UNBOUNDED: it waits as long as the flow may: P30D',
  ])
})

test('a map over a list whose schema does not bound it is told', () => {
  const list = (more: object): object => ({ type: 'object', properties: { list: { type: 'array', ...more } } })
  const steps = { each: { type: 'map', over: '${{ input.list }}', step: pay() } }
  expect(warningsOf(flowOf(steps, { input: list({}) }))).toEqual(['steps.each.over UNBOUNDED: input.list may have 10000 items'])
  expect(warningsOf(flowOf(steps, { input: list({ maxItems: 100 }) }))).toEqual([])
})

test('a flow that ends before its steps may have ended is told, with how long they may take', () => {
  const steps = {
    a: pay({ retry: { attempts: 3, delay: 'PT1S', factor: 2, jitter: 0 } }),
    b: pay({ after: ['a'] }),
    beside: pay({ timeout: 'PT20S' }),
    nap: { type: 'wait', duration: 'PT5S', after: ['b', 'beside'] },
    last: { type: 'loop', times: 3, delay: 'PT1S', step: pay(), after: { any: ['nap'] } },
    made: step({ after: ['last'] }),
  }
  // 3 * 10 + 1 + 2, 10, 5, 3 * 11
  expect(warningsOf(flowOf(steps, { timeout: 'PT80S' }))).toEqual([
    'timeout TOO_SHORT: its steps may take PT1M21S in the worst case; it ends after PT1M20S',
  ])
  expect(warningsOf(flowOf(steps, { timeout: 'PT81S' }))).toEqual([])
  const input = { type: 'object', properties: { list: { type: 'array', maxItems: 100 } } }
  const wide = { each: { type: 'map', over: '${{ input.list }}', parallel: 20, step: pay() } }
  expect(warningsOf(flowOf(wide, { input, timeout: 'PT49S' }))).toHaveLength(1)
  expect(warningsOf(flowOf(wide, { input, timeout: 'PT50S' }))).toEqual([])
})

const worstOf = (value: unknown): object | undefined => {
  const { issues, worstCase } = validateDefinition(value, allow)
  expect(issues).toEqual([])
  return worstCase
}

test('what a flow may cost is told: attempts, items and iterations multiply it, what undoes is added', () => {
  const steps = {
    once: pay({ cost: 7, retry: { attempts: 3, delay: 'PT1S', factor: 1, jitter: 0 }, compensate: pay({ cost: 2 }) }),
    each: { type: 'map', over: [1, 2, 3, 4], parallel: 2, step: pay({ cost: 10 }), after: ['once'] },
    wide: { type: 'map', over: '${{ input.list }}', step: { type: 'loop', times: 5, step: pay({ cost: 1 }) }, after: ['each'] },
    free: step({ after: ['wide'] }),
  }
  const input = { type: 'object', properties: { list: { type: 'array', maxItems: 20 } } }
  // 3 * 7 + 2, 4 * 10, 20 * 5; 3 * 10 + 2, 2 * 10, 2 * 5 * 10
  expect(worstOf(flowOf(steps, { input }))).toEqual({ cost: 23 + 40 + 100, durationMs: (32 + 20 + 100) * 1_000 })
  expect(worstOf(flowOf({ a: pay() }))).toEqual({ cost: 0, durationMs: 10_000 })
})

test('a router takes one route: the costliest counts, and what stands behind another router on it', () => {
  const router = (more: object = {}): object => ({
    type: 'route',
    cases: [{ when: 'input.n > 1', to: 'a' }],
    otherwise: 'b',
    ...more,
  })
  const steps = {
    which: router(),
    left: pay({ on: 'which:a', cost: 5 }),
    more: pay({ after: ['left'], cost: 10 }),
    right: pay({ on: 'which:b', cost: 12 }),
    again: router({ after: ['left'] }),
    far: pay({ on: 'again:a', cost: 1 }),
    near: pay({ on: 'again:b', cost: 2 }),
    both: pay({ after: { any: ['more', 'right'] }, cost: 100 }),
  }
  const input = { type: 'object', properties: { n: { type: 'integer' } } }
  expect(worstOf(flowOf(steps, { input }))).toMatchObject({ cost: 5 + 10 + 1 + 2 + 100 })
})

test('what waits for ever takes as long as the flow may, and a pattern that promises too little is told (C11)', () => {
  const signal = { type: 'signal', signals: ['paid'] }
  expect(worstOf(flowOf({ a: signal }, { timeout: 'P2D' }))).toEqual({ durationMs: 2 * 86_400_000, cost: 0 })
  const triggers = (cost?: number): Record<string, unknown> => ({
    triggers: [{ type: 'pattern', name: 'p', pattern: '^pay', kind: 'agent', ...(cost !== undefined && { cost }) }],
  })
  const steps = { a: pay({ cost: 50 }) }
  expect(warningsOf(flowOf(steps, triggers()))).toEqual([
    'triggers.0.cost TOO_LITTLE: its steps may cost 50 tokens in the worst case; 0 are told',
  ])
  expect(warningsOf(flowOf(steps, triggers(50)))).toEqual([])
  const wide = { each: { type: 'map', over: '${{ input.list }}', step: pay({ cost: 3 }), cost: 9 } }
  const input = { type: 'object', properties: { list: { type: 'array' } } }
  expect(warningsOf(flowOf(wide, { input }))).toEqual([
    'steps.each.cost NO_EFFECT: it is the step inside that costs',
    'steps.each.over UNBOUNDED: input.list may have 10000 items, and the flow cost 30000 tokens',
  ])
})

test('a flow that calls itself while it holds a slot of its own is told, wherever the call stands', () => {
  const call = { type: 'flow', flow: 'example', timeout: 'PT1M' }
  const steps = (flow: object): Record<string, unknown> => ({
    each: { type: 'map', over: [1], step: { type: 'loop', times: 2, step: flow } },
  })
  const slots = (more: object = {}): Record<string, unknown> => ({ concurrency: { max: 1, ...more } })
  const name = 'example'
  expect(warningsOf({ ...flowOf(steps(call), slots()), name })).toEqual([
    'steps.each.step.step.flow DEADLOCK: it holds a slot and waits for an execution that waits for one: all executions of the flow share one slot',
  ])
  expect(
    warningsOf({
      ...flowOf({ again: { ...call, flow: 'ann/example' } }, slots({ key: '${{ input.a }}', max: 3, onLimit: 'cancelOlder' })),
      name,
    }),
  ).toEqual([
    'steps.again.flow DEADLOCK: what it starts may take its slot, and cancel it: executions with the same key share 3 slots',
  ])
  expect(warningsOf({ ...flowOf({ again: { ...call, flow: 'other' } }, slots()), name })).toEqual([])
  expect(warningsOf({ ...flowOf({ again: call }), name })).toEqual([])
})
