import { expect, test } from 'vitest'
import { StepError } from '../../src/engine/handlers/define-handler.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const engine = await testEngine(database, {
  handlers: {
    never: (_input, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('told to stop')))),
    useless: () => {
      throw new StepError('The card was declined.', { retryable: false })
    },
    busy: (_input, { attempt }) => {
      if (attempt === 1) throw new StepError('Too many charges.', { retryAfterMs: 400 })
      return { attempt }
    },
  },
})
async function ended(steps: object, more: object = {}) {
  const id = await startFlow(engine, await storeFlow(database, { name: 'times', steps, ...more }))
  await engine.ended(id, 8000)
  return readExecution(database, id)
}
const never = { type: 'handler', handler: 'never' }

test('a timeout bounds each attempt, and `within` all of them (D4)', async () => {
  const each = await ended({ a: { ...never, timeout: 'PT0.1S', retry: { attempts: 3, delay: 'PT0.01S' } } })
  expect(each).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT', step: 'a' } })
  expect(each.steps).toMatchObject([{ attempt: 3 }])
  const all = await ended({ a: { ...never, timeout: 'PT0.2S', retry: { attempts: 100, delay: 'PT0.01S', within: 'PT0.5S' } } })
  expect(all).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT' } })
  expect(all.steps[0]!.attempt).toBeLessThanOrEqual(3)
  expect(all.steps[0]!.attempt).toBeGreaterThan(1)
})

test('a wait with a timeout that is over first fails, and may be answered for', async () => {
  const execution = await ended({
    a: { type: 'wait', until: '${{ "2999-01-01T00:00:00Z" }}', timeout: 'PT0.1S', onError: { goto: 'b' } },
    b: { type: 'transform', set: { code: '${{ steps.a.error.code }}' } },
  })
  expect(execution).toMatchObject({ status: 'SUCCEEDED' })
  expect(execution.steps.find(({ path }) => path === 'b')!.output).toEqual({ code: 'TIMEOUT' })
  const short = await ended({ a: { type: 'wait', duration: 'PT0.1S', timeout: 'PT10S' } })
  expect(short.status).toBe('SUCCEEDED')
})

test('the timeout of the flow ends it whatever it does (D4)', async () => {
  for (const step of [never, { type: 'wait', duration: 'PT1H' }, { type: 'agent', role: 'ceo', subject: '?', request: {} }]) {
    const execution = await ended({ a: step }, { timeout: 'PT0.2S' })
    expect(execution).toMatchObject({ status: 'TIMED_OUT', error: { code: 'FLOW_TIMEOUT' } })
    expect(execution.steps).toMatchObject([{ path: 'a', status: 'CANCELED' }])
  }
  expect(await breaches(database)).toEqual([])
})

test('a handler says that another attempt is useless, or when to come back', async () => {
  const retry = { attempts: 5, delay: 'PT0.01S' }
  const useless = await ended({ a: { type: 'handler', handler: 'useless', retry } })
  expect(useless).toMatchObject({ status: 'FAILED', error: { message: 'The card was declined.' }, steps: [{ attempt: 1 }] })
  const busy = await ended({ a: { type: 'handler', handler: 'busy', retry } })
  expect(busy).toMatchObject({ status: 'SUCCEEDED', steps: [{ attempt: 2 }] })
  expect(busy.events.find(({ type }) => type === 'step.retrying')!.data).toMatchObject({ delayMs: 400 })
})
