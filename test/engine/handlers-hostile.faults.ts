import { afterAll, expect, test } from 'vitest'
import { createHandlerHost } from '../../src/engine/handlers/handler-host.ts'
import { loadHandlers } from '../../src/engine/handlers/load-handlers.ts'
import { createLog } from '../../src/log.ts'
import { HANDLER_PROCESSES } from '../harness/handler-processes.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import type { StoredExecution } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const settings = { ...HANDLER_PROCESSES, log: createLog('silent') }
const registry = await loadHandlers({
  ...settings,
  directories: [`${import.meta.dirname}/handlers/fixtures`, `${import.meta.dirname}/fixtures/handlers`],
})
const host = createHandlerHost({ ...settings, registry, graceMs: 100, maxProcesses: 3 })
const engine = await testEngine(database, { registry, host })
afterAll(() => host.close())

const retry = { attempts: 2, delay: 'PT0.01S' }
const harmless = await storeFlow(database, {
  name: 'harmless',
  steps: {
    a: { type: 'handler', handler: 'echo', with: { n: 1 } },
    b: { type: 'wait', duration: 'PT0.05S', after: ['a'] },
    c: { type: 'handler', handler: 'inline_echo', after: ['b'] },
  },
})

async function runStep(step: object): Promise<StoredExecution> {
  const flow = await storeFlow(database, {
    name: `hostile ${JSON.stringify(step)}`.slice(0, 90),
    steps: { a: { type: 'handler', ...step } },
  })
  const id = await startFlow(engine, flow)
  await engine.ended(id, 8000)
  return await readExecution(database, id)
}

const count = ({ events }: StoredExecution, type: string): number => events.filter((event) => event.type === type).length

test('a handler that never yields ends as configured, and the others go on meanwhile (A3, D4)', async () => {
  const spinning = await startFlow(
    engine,
    await storeFlow(database, { name: 'spin', steps: { a: { type: 'handler', handler: 'spin', timeout: 'PT3S', retry } } }),
  )
  const beside = await Promise.all(Array.from({ length: 20 }, () => startFlow(engine, harmless)))
  await Promise.all(beside.map((id) => engine.ended(id, 8000)))
  for (const id of beside) expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED' })
  // it is still at it
  expect(await readExecution(database, spinning)).toMatchObject({ status: 'RUNNING' })
  await engine.ended(spinning, 20_000)
  const ended = await readExecution(database, spinning)
  expect(ended).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT', step: 'a' }, steps: [{ attempt: 2 }] })
  expect(count(ended, 'step.retrying')).toBe(1)
})

test('handlers that never yield in every process stop neither inline handlers nor waits nor starts (A3)', async () => {
  const spin = await storeFlow(database, { name: 'spins', steps: { a: { type: 'handler', handler: 'spin', timeout: 'PT1.5S' } } })
  const spinning = await Promise.all(Array.from({ length: 3 }, () => startFlow(engine, spin)))
  const light = await storeFlow(database, {
    name: 'light',
    steps: {
      a: { type: 'handler', handler: 'inline_echo' },
      b: { type: 'wait', duration: 'PT0.05S', after: ['a'] },
      c: { type: 'transform', after: ['b'], set: {} },
    },
  })
  const id = await startFlow(engine, light)
  await engine.ended(id, 5000)
  expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED' })
  for (const each of spinning) expect(await readExecution(database, each)).toMatchObject({ status: 'RUNNING' })
  // its turn comes when a process is gone: the wait for one is not part of its time
  const queued = await runStep({ handler: 'echo', timeout: 'PT1S' })
  expect(queued).toMatchObject({ status: 'SUCCEEDED' })
  await Promise.all(spinning.map((each) => engine.ended(each, 8000)))
  for (const each of spinning) expect(await readExecution(database, each)).toMatchObject({ error: { code: 'TIMEOUT' } })
})

test('a handler that ends its process is retried and fails as HANDLER_CRASHED, and the others go on (A3, D4)', async () => {
  const beside = await Promise.all(Array.from({ length: 10 }, () => startFlow(engine, harmless)))
  const ended = await runStep({ handler: 'exit', with: { code: 0 }, retry })
  expect(ended).toMatchObject({ status: 'FAILED', error: { code: 'HANDLER_CRASHED', step: 'a' }, steps: [{ attempt: 2 }] })
  expect(count(ended, 'step.retrying')).toBe(1)
  await Promise.all(beside.map((id) => engine.ended(id, 8000)))
  for (const id of beside) expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED' })
})

test('what a retry is not configured for is not tried again (D4)', async () => {
  const ended = await runStep({ handler: 'exit', with: { code: 1 }, retry: { ...retry, on: ['TIMEOUT'] } })
  expect(ended).toMatchObject({ status: 'FAILED', error: { code: 'HANDLER_CRASHED' }, steps: [{ attempt: 1 }] })
})

test.each([
  ['bigint', 'INVALID_OUTPUT'],
  ['function', 'INVALID_OUTPUT'],
  ['nan', 'INVALID_OUTPUT'],
  ['date', 'INVALID_OUTPUT'],
  ['getter', 'INVALID_OUTPUT'],
  ['cycle', 'UNSTORABLE_OUTPUT'],
  ['deep', 'UNSTORABLE_OUTPUT'],
  ['nul', 'UNSTORABLE_OUTPUT'],
  ['surrogate', 'UNSTORABLE_OUTPUT'],
  ['large', 'STATE_TOO_LARGE'],
  ['enormous', 'STATE_TOO_LARGE'],
])('an output that is %s fails the step with %s, and no retry is wasted on it (A3, A4)', async (kind, code) => {
  const flow = { handler: 'returns_kind', with: { kind }, retry }
  const ended = await runStep(flow)
  expect(ended).toMatchObject({ status: 'FAILED', error: { code, step: 'a' }, steps: [{ status: 'FAILED', attempt: 1 }] })
})

test('a state of exactly 1,000,000 bytes passes, one byte more fails with STATE_TOO_LARGE and both numbers (A4)', async () => {
  // input {} is 2 bytes, a string of n characters n + 2
  const exact = await runStep({ handler: 'fills', with: { bytes: 1_000_000 - 2 } })
  expect(exact).toMatchObject({ status: 'SUCCEEDED' })
  const over = await runStep({ handler: 'fills', with: { bytes: 1_000_000 - 1 } })
  expect(over).toMatchObject({ status: 'FAILED', error: { code: 'STATE_TOO_LARGE', step: 'a' } })
  expect(over.error!.message).toContain('1000001')
  expect(over.error!.message).toContain('1000000')
})

test('outputs add up: the step that passes the limit fails, those before it stay recorded (A4)', async () => {
  const half = { type: 'handler', handler: 'fills', with: { bytes: 400_000 } }
  const flow = await storeFlow(database, {
    name: 'adds up',
    steps: { a: half, b: { ...half, after: ['a'] }, c: { ...half, after: ['b'] } },
  })
  const id = await startFlow(engine, flow)
  await engine.ended(id, 8000)
  const ended = await readExecution(database, id)
  expect(ended).toMatchObject({ status: 'FAILED', error: { code: 'STATE_TOO_LARGE', step: 'c' } })
  expect(ended.steps.map(({ path, status }) => [path, status])).toEqual([
    ['a', 'SUCCEEDED'],
    ['b', 'SUCCEEDED'],
    ['c', 'FAILED'],
  ])
  expect(await breaches(database, { atTheEnd: false })).toEqual([])
})
