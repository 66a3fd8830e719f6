import { expect, test } from 'vitest'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const engine = await testEngine(database, {
  handlers: {
    fine: () => ({ ok: true }),
    broken: () => {
      throw new Error('no way')
    },
  },
})
const fine = { type: 'handler', handler: 'fine' }
const broken = { type: 'handler', handler: 'broken' }

async function ended(steps: object, more: object = {}) {
  const id = await startFlow(engine, await storeFlow(database, { name: 'errors', steps, ...more }))
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  return { ...execution, by: Object.fromEntries(execution.steps.map(({ path, status }) => [path, status])) }
}

test('a failure that may be passed over counts as an end: what waits for the step runs, and sees the error', async () => {
  const execution = await ended(
    {
      a: { ...broken, onError: 'continue' },
      all: { type: 'transform', after: ['a'], set: { code: '${{ steps.a.error.code }}', has: '${{ has(steps.a.output) }}' } },
      any: { ...fine, after: { any: ['a', 'all'] } },
    },
    { output: { seen: '${{ steps.all.output }}', status: '${{ steps.a.status }}' } },
  )
  expect(execution).toMatchObject({
    status: 'SUCCEEDED',
    output: { seen: { code: 'STEP_FAILED', has: false }, status: 'FAILED' },
    by: { a: 'FAILED', all: 'SUCCEEDED', any: 'SUCCEEDED' },
  })
  expect(execution.events.find(({ type }) => type === 'step.failed')!.data).toEqual({
    error: { code: 'STEP_FAILED', message: 'no way' },
    onError: 'continue',
  })
})

test('a failure leads to the step that answers for it, and what waited for the success is skipped', async () => {
  const execution = await ended(
    {
      charge: { ...broken, onError: { goto: 'apologize' } },
      ship: { ...fine, after: ['charge'] },
      apologize: { type: 'transform', set: { because: '${{ steps.charge.error.message }}' } },
      close: { ...fine, after: { any: ['ship', 'apologize'] } },
    },
    { output: { because: '${{ steps.apologize.output.because }}' } },
  )
  expect(execution).toMatchObject({
    ...{ status: 'SUCCEEDED', output: { because: 'no way' } },
    by: { charge: 'FAILED', ship: 'SKIPPED', apologize: 'SUCCEEDED', close: 'SUCCEEDED' },
  })
  expect(execution.events.find(({ type }) => type === 'step.failed')!.data).toMatchObject({ onError: { goto: 'apologize' } })
})

test('a step that answers for failures is skipped when none came', async () => {
  const execution = await ended({
    charge: { ...fine, onError: { goto: 'apologize' } },
    apologize: fine,
    after: { ...fine, after: ['charge'] },
  })
  expect(execution).toMatchObject({ status: 'SUCCEEDED', by: { charge: 'SUCCEEDED', apologize: 'SKIPPED', after: 'SUCCEEDED' } })
})

test('one step may answer for several, and runs once, at the first failure', async () => {
  const answers = { onError: { goto: 'tell' } }
  const execution = await ended({
    a: { ...broken, ...answers },
    b: { ...broken, ...answers },
    c: { ...fine, ...answers },
    tell: fine,
  })
  expect(execution).toMatchObject({ status: 'SUCCEEDED', by: { a: 'FAILED', b: 'FAILED', c: 'SUCCEEDED', tell: 'SUCCEEDED' } })
})

test('the failure of what answers for a failure fails the execution', async () => {
  const execution = await ended({ a: { ...broken, onError: { goto: 'b' } }, b: { ...broken } })
  expect(execution).toMatchObject({ status: 'FAILED', error: { step: 'b' }, by: { a: 'FAILED', b: 'FAILED' } })
})

test('retries come first: only what failed for good is passed over', async () => {
  const execution = await ended({ a: { ...broken, retry: { attempts: 3, delay: 'PT0.01S' }, onError: 'continue' } })
  expect(execution.status).toBe('SUCCEEDED')
  expect(execution.steps).toMatchObject([{ path: 'a', status: 'FAILED', attempt: 3 }])
  expect(await breaches(database)).toEqual([])
})
