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
