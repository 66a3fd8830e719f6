import { expect, test } from 'vitest'
import type { Json } from '../../src/language/values.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
/** what handlers were called with, by execution, in the order of the calls */
const calls = new Map<string, Json[]>()
const attempts = new Map<string, number>()
const engine = await testEngine(database, {
  handlers: {
    note: (input, { executionId, path }) => {
      calls.set(executionId, [...(calls.get(executionId) ?? []), input])
      return { at: path }
    },
    broken: () => {
      throw Object.assign(new Error('no way'), { retryable: false })
    },
    never: (_input, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('told to stop')))),
    secondTime: (_input, { idempotencyKey }) => {
      attempts.set(idempotencyKey, (attempts.get(idempotencyKey) ?? 0) + 1)
      if (attempts.get(idempotencyKey) === 1) throw new Error('not yet')
      return null
    },
  },
})

const note = (what: string, more: object = {}): object => ({ type: 'handler', handler: 'note', with: { what }, ...more })
const booked = (what: string, more: object = {}): object => note(what, { compensate: note(`undo ${what}`), ...more })
const run = async (steps: object, more: object = {}, input = {}): Promise<string> =>
  startFlow(engine, await storeFlow(database, { name: 'saga', steps, ...more }), input)
const types = (execution: Awaited<ReturnType<typeof readExecution>>): string[] =>
  execution.events.map(({ type, path }) => (path ? `${type} ${path}` : type))

const statuses = (execution: Awaited<ReturnType<typeof readExecution>>): Record<string, string> =>
  Object.fromEntries(execution.steps.map(({ path, status }) => [path, status]))

test('what succeeded is undone in the reverse order of the ends, before the execution fails; each is in the history (E6)', async () => {
  const id = await run({
    flight: booked('flight'),
    hotel: booked('hotel', { after: ['flight'] }),
    plain: note('plain', { after: ['hotel'] }),
    car: { type: 'handler', handler: 'broken', after: ['plain'], compensate: note('undo car') },
  })
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  expect(execution).toMatchObject({
    ...{ status: 'FAILED', reason: 'STEP_FAILED: no way' },
    error: { code: 'STEP_FAILED', message: 'no way', step: 'car' },
  })
  expect(types(execution).slice(-8)).toEqual([
    'step.failed car',
    'compensation.started',
    'step.started hotel.compensate',
    'step.succeeded hotel.compensate',
    'step.started flight.compensate',
    'step.succeeded flight.compensate',
    'compensation.finished',
    'execution.failed',
  ])
  expect(statuses(execution)).toEqual({
    ...{ flight: 'SUCCEEDED', hotel: 'SUCCEEDED', plain: 'SUCCEEDED', car: 'FAILED' },
    ...{ 'hotel.compensate': 'SUCCEEDED', 'flight.compensate': 'SUCCEEDED' },
  })
  expect(await breaches(database)).toEqual([])
})

test('undoing sees the input, what its step returned, and why the execution ends', async () => {
  const seen = { n: '${{ input.n }}', booked: '${{ steps.book.output.at }}', why: '${{ execution.error.code }}' }
  const id = await run(
    {
      book: note('book', { compensate: { type: 'handler', handler: 'note', with: seen } }),
      stop: { type: 'fail', after: ['book'], code: 'SOLD_OUT', message: 'None is left.' },
    },
    {},
    { n: 7 },
  )
  await engine.ended(id, 5000)
  expect(await readExecution(database, id)).toMatchObject({ status: 'FAILED', error: { code: 'SOLD_OUT' } })
  expect([...calls.values()].at(-1)).toEqual([{ what: 'book' }, { n: 7, booked: 'book', why: 'SOLD_OUT' }])
})

test('what cannot be undone is told, and the rest is undone all the same; an undoing is retried by its own policy', async () => {
  const id = await run({
    a: booked('a'),
    b: note('b', { after: ['a'], compensate: { type: 'handler', handler: 'broken' } }),
    c: note('c', {
      after: ['b'],
      compensate: { type: 'handler', handler: 'secondTime', retry: { attempts: 2, delay: 'PT0.01S' } },
    }),
    d: { type: 'fail', after: ['c'], message: 'stop' },
  })
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  expect(execution).toMatchObject({
    status: 'FAILED',
    reason: 'FLOW_FAILED: stop; not undone: b',
    error: { code: 'FLOW_FAILED' },
  })
  expect(execution.steps.find(({ path }) => path === 'c.compensate')).toMatchObject({ status: 'SUCCEEDED', attempt: 2 })
  expect(types(execution).filter((type) => type.startsWith('step.started'))).toEqual(
    ['a', 'b', 'c', 'd', 'c.compensate', 'c.compensate', 'b.compensate', 'a.compensate'].map((path) => `step.started ${path}`),
  )
  expect(statuses(execution)).toMatchObject({ 'b.compensate': 'FAILED', 'a.compensate': 'SUCCEEDED' })
  expect(execution.events.find(({ type }) => type === 'compensation.finished')!.data).toEqual({ undone: 2, left: ['b'] })
})

test('a canceled execution undoes what it did and is CANCELED; canceling it again meanwhile changes nothing (A10)', async () => {
  const id = await run({
    a: note('a', { compensate: { type: 'agent', role: 'ceo', subject: 'Undo it', request: {} } }),
    b: { type: 'wait', duration: 'PT1H', after: ['a'] },
  })
  await expect.poll(async () => (await readExecution(database, id)).status).toBe('WAITING')
  await engine.cancel({ executionId: id, reason: 'not wanted' })
  expect(await readExecution(database, id)).toMatchObject({ status: 'WAITING', reason: 'not wanted' })
  await engine.cancel({ executionId: id, reason: 'really' })
  expect(await engine.pause({ executionId: id })).toMatchObject({ problem: 'ILLEGAL_STATE' })
  const [request] = await database.query<{ id: string; path: string }>(
    'select id, path from sluice.agent_requests where execution_id = $1',
    [id],
  )
  expect(request!.path).toBe('a.compensate')
  await engine.answer({ requestId: request!.id, executionId: id, decision: 'APPROVE', data: null, answeredBy: id })
  const execution = await readExecution(database, id)
  expect(execution).toMatchObject({ status: 'CANCELED', reason: 'not wanted', error: null })
  expect(execution.events.filter(({ type }) => type === 'execution.cancelRequested').length).toBe(1)
  expect(await breaches(database)).toEqual([])
})

test('a flow that is out of time undoes what it did in a time of its own', async () => {
  const id = await run({ a: booked('a'), b: { type: 'wait', duration: 'PT1H', after: ['a'] } }, { timeout: 'PT0.3S' })
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  expect(execution).toMatchObject({ status: 'TIMED_OUT', error: { code: 'FLOW_TIMEOUT' } })
  expect(statuses(execution)).toEqual({ a: 'SUCCEEDED', b: 'CANCELED', 'a.compensate': 'SUCCEEDED' })
})

test('undoing that takes too long is ended, and what was left is told (A10)', async () => {
  const id = await run(
    {
      a: booked('a'),
      b: note('b', { after: ['a'], compensate: { type: 'handler', handler: 'never' } }),
      c: { type: 'fail', after: ['b'], message: 'stop' },
    },
    { compensationTimeout: 'PT0.3S' },
  )
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  expect(execution).toMatchObject({ status: 'FAILED', reason: 'FLOW_FAILED: stop; not undone: b, a' })
  expect(types(execution).slice(-3)).toEqual(['step.canceled b.compensate', 'compensation.finished', 'execution.failed'])
  expect(await breaches(database)).toEqual([])
})

test('a compensation whose `when` is false has nothing to undo', async () => {
  const id = await run({
    a: note('a', { compensate: note('undo a', { when: 'steps.a.output.at == "elsewhere"' }) }),
    b: { type: 'fail', after: ['a'], message: 'stop' },
  })
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  expect(execution.reason).toBe('FLOW_FAILED: stop')
  expect(statuses(execution)).toMatchObject({ 'a.compensate': 'SKIPPED' })
})

test('an execution that succeeds undoes nothing', async () => {
  const id = await run({ a: booked('a') })
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  expect(execution.status).toBe('SUCCEEDED')
  expect(execution.steps.length).toBe(1)
})
