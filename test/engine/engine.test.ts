import { expect, onTestFinished, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { readExecution, startFlow, startOrder, storeFlow, testEngine, unwrap } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
let failures = 2
const engine = await testEngine(database, {
  handlers: {
    double: (input) => ({ n: (input as { n: number }).n * 2 }),
    flaky: () => {
      if (failures-- > 0) throw new Error('not yet')
      return { ok: true }
    },
    nothing: () => null,
    broken: () => {
      throw new Error('no way')
    },
    never: (_input, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('told to stop')))),
  },
})

test('three handlers in a row pass their results on, and the history tells each step', async () => {
  const flow = await storeFlow(database, {
    name: 'chain',
    steps: {
      a: { type: 'handler', handler: 'double', with: { n: '${{ input.n }}' } },
      b: { type: 'handler', handler: 'double', after: ['a'], with: { n: '${{ steps.a.output.n }}' } },
      c: { type: 'handler', handler: 'double', after: ['b'], with: { n: '${{ steps.b.output.n }}' } },
    },
    output: { n: '${{ steps.c.output.n }}' },
  })
  const id = await startFlow(engine, flow, { n: 5 })
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  expect(execution).toMatchObject({ status: 'SUCCEEDED', output: { n: 40 }, owner: null })
  expect(execution.events.map(({ type, path }) => [type, path])).toEqual([
    ['execution.started', null],
    ['step.started', 'a'],
    ['step.succeeded', 'a'],
    ['step.started', 'b'],
    ['step.succeeded', 'b'],
    ['step.started', 'c'],
    ['step.succeeded', 'c'],
    ['execution.succeeded', null],
  ])
  expect(execution.events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
})

test('what a commit sets off is stored in two parts: one is computed while the other is stored', async () => {
  const flow = await storeFlow(database, {
    name: 'in turns',
    steps: { a: { type: 'handler', handler: 'nothing' }, b: { type: 'handler', handler: 'nothing', after: ['a'] } },
  })
  const orders = await Promise.all(Array.from({ length: 40 }, () => startOrder(engine, flow)))
  const sizes: number[] = []
  engine.committer.onCommit = ({ items }) => sizes.push(items)
  onTestFinished(() => void delete engine.committer.onCommit)
  const started = await Promise.all(orders.map((order) => engine.start(order)))
  await Promise.all(started.map((one) => engine.ended(unwrap(one).executionId, 5000)))
  expect(sizes[0]).toBe(40)
  expect(Math.max(...sizes.slice(1))).toBe(20)
})

test('pure steps fold into the start: one transition, no claim', async () => {
  const flow = await storeFlow(database, {
    name: 'pure',
    steps: {
      size: { type: 'transform', set: { big: '${{ input.cost > 10 }}' } },
      way: { type: 'route', after: ['size'], cases: [{ when: 'steps.size.output.big', to: 'big' }], otherwise: 'small' },
      big: { type: 'transform', on: 'way:big', set: { who: 'ceo' } },
      small: { type: 'transform', on: 'way:small', set: { who: 'nobody' } },
    },
    output: { who: '${{ has(steps.big.output) ? steps.big.output.who : steps.small.output.who }}' },
  })
  const id = await startFlow(engine, flow, { cost: 11 })
  expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED', version: 1, output: { who: 'ceo' } })
})

test('an answer through the engine ends the wait, and a second answer is refused', async () => {
  const flow = await storeFlow(database, {
    name: 'asking',
    steps: { ask: { type: 'agent', role: 'ceo', subject: 'May I?', request: { n: '${{ input.n }}' } } },
    output: { said: '${{ steps.ask.output.decision }}' },
  })
  const id = await startFlow(engine, flow, { n: 1 })
  expect(await readExecution(database, id)).toMatchObject({ status: 'WAITING', owner: null })
  const [request] = await database.query<{ id: string }>('select id from sluice.agent_requests where execution_id = $1', [id])
  const order = {
    requestId: request!.id,
    executionId: id,
    decision: 'APPROVE' as const,
    data: { why: 'good' },
    answeredBy: newUuid(),
  }
  expect(await engine.answer(order)).toEqual({ requestId: request!.id, replayed: false })
  expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED', output: { said: 'APPROVE' } })
  expect(await engine.answer(order)).toMatchObject({ problem: 'ILLEGAL_STATE' })
})

test('nulls are outputs like any other, also inside of objects', async () => {
  const flow = await storeFlow(database, {
    name: 'nulls',
    steps: {
      a: { type: 'handler', handler: 'nothing' },
      b: { type: 'transform', after: ['a'], set: { got: '${{ steps.a.output }}', none: null } },
    },
    output: { b: '${{ steps.b.output }}' },
  })
  const id = await startFlow(engine, flow)
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  expect(execution).toMatchObject({ status: 'SUCCEEDED', output: { b: { got: null, none: null } } })
  expect(execution.steps.map(({ output }) => output)).toEqual([null, { got: null, none: null }])
})

test('a failing handler is retried as configured, and every attempt is in the history (D4, A3)', async () => {
  const retry = { attempts: 3, delay: 'PT0.01S' }
  const flow = await storeFlow(database, { name: 'flaky', steps: { a: { type: 'handler', handler: 'flaky', retry } } })
  const id = await startFlow(engine, flow)
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  expect(execution.status).toBe('SUCCEEDED')
  expect(execution.steps).toMatchObject([{ path: 'a', status: 'SUCCEEDED', attempt: 3 }])
  expect(execution.events.filter(({ type }) => type === 'step.retrying').length).toBe(2)
})

test('a handler that throws fails the step and the execution with its message (A3)', async () => {
  const flow = await storeFlow(database, {
    name: 'broken',
    steps: { a: { type: 'handler', handler: 'broken' }, b: { type: 'wait', duration: 'PT1H' } },
  })
  const id = await startFlow(engine, flow)
  await engine.ended(id, 5000)
  expect(await readExecution(database, id)).toMatchObject({
    status: 'FAILED',
    error: { code: 'STEP_FAILED', message: 'no way', step: 'a' },
  })
})

test('a handler that hangs past its timeout ends as TIMEOUT (D4)', async () => {
  const flow = await storeFlow(database, {
    name: 'hang',
    steps: { a: { type: 'handler', handler: 'never', timeout: 'PT0.05S' } },
  })
  const id = await startFlow(engine, flow)
  await engine.ended(id, 5000)
  expect(await readExecution(database, id)).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT', step: 'a' } })
})

test('a wait is released and wakes at its time', async () => {
  const flow = await storeFlow(database, {
    name: 'wait',
    steps: { a: { type: 'wait', duration: 'PT1.2S' }, b: { type: 'wait', duration: 'PT0.01S', after: ['a'] } },
  })
  const id = await startFlow(engine, flow)
  expect(await readExecution(database, id)).toMatchObject({ status: 'WAITING', owner: null })
  await engine.ended(id, 5000)
  expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED' })
})

test('cancel ends waits at once and running handlers within the fence (A10)', async () => {
  const waiting = await startFlow(
    engine,
    await storeFlow(database, { name: 'w', steps: { a: { type: 'wait', duration: 'PT1H' } } }),
  )
  unwrap(await engine.cancel({ executionId: waiting, reason: 'enough' }))
  expect(await readExecution(database, waiting)).toMatchObject({ status: 'CANCELED', reason: 'enough' })
  const running = await startFlow(
    engine,
    await storeFlow(database, { name: 'r', steps: { a: { type: 'handler', handler: 'never' } } }),
  )
  unwrap(await engine.cancel({ executionId: running, reason: 'enough' }))
  await engine.ended(running, 5000)
  expect(await readExecution(database, running)).toMatchObject({ status: 'CANCELED', steps: [{ path: 'a', status: 'CANCELED' }] })
  expect(await engine.cancel({ executionId: running })).toMatchObject({ problem: 'ILLEGAL_STATE' })
})

test('pause holds everything that has not begun; resume goes on', async () => {
  const id = await startFlow(
    engine,
    await storeFlow(database, {
      name: 'p',
      steps: { a: { type: 'wait', duration: 'PT1.1S' }, b: { type: 'transform', after: ['a'], set: {} } },
    }),
  )
  unwrap(await engine.pause({ executionId: id, reason: 'lunch' }))
  expect(await readExecution(database, id)).toMatchObject({ status: 'PAUSED' })
  expect(await engine.pause({ executionId: id })).toMatchObject({ problem: 'ILLEGAL_STATE' })
  unwrap(await engine.resume({ executionId: id }))
  await engine.ended(id, 5000)
  expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED' })
})

test('100 simultaneous starts with one idempotency key: 1 execution, 100 equal answers (E1)', async () => {
  const flow = await storeFlow(database, { name: 'once', steps: { a: { type: 'handler', handler: 'double', with: { n: 1 } } } })
  const idempotency = { principalId: newUuid(), key: 'k1', inputHash: Buffer.alloc(32, 1) }
  const order = await startOrder(engine, flow, {}, { idempotency })
  const answers = await Promise.all(Array.from({ length: 100 }, () => engine.start(order)))
  expect(new Set(answers.map((answer) => unwrap(answer).executionId)).size).toBe(1)
  expect(answers.filter((answer) => !unwrap(answer).replayed).length).toBe(1)
  const other = await engine.start({ ...order, idempotency: { ...idempotency, inputHash: Buffer.alloc(32, 2) } })
  expect(other).toMatchObject({ problem: 'IDEMPOTENCY_MISMATCH' })
  const rows = await database.query('select 1 from sluice.executions where flow_id = $1', [flow.flowId])
  expect(rows.length).toBe(1)
})

test('an initiator has at most so many executions running, counted exactly under concurrency (A8)', async () => {
  const flow = await storeFlow(database, { name: 'many', steps: { a: { type: 'wait', duration: 'PT1H' } } })
  const initiatorId = newUuid()
  const order = await startOrder(engine, flow, {}, { initiatorId, runningLimit: 7 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => engine.start(order)))
  expect(answers.filter((answer) => 'executionId' in answer).length).toBe(7)
  expect(answers.find((answer) => 'problem' in answer)).toMatchObject({
    problem: 'LIMIT_REACHED',
    retryAfterMs: expect.any(Number),
  })
})

test('a step run tells what its handler was given', async () => {
  const steps = { a: { type: 'handler', handler: 'double', with: { n: '${{ input.n }}' } } }
  const id = await startFlow(engine, await storeFlow(database, { name: 'given', steps }), { n: 21 })
  await engine.ended(id, 5000)
  const [run] = await database.query<{ input: unknown }>('select input from sluice.step_runs where execution_id = $1', [id])
  expect(run).toEqual({ input: { n: 21 } })
})

test('what is too large for a request or a handler fails the step, with size and limit (A4)', async () => {
  const twice = { big: '${{ input.big }}', again: '${{ input.big }}' }
  for (const step of [
    { type: 'handler', handler: 'double', with: twice },
    { type: 'agent', role: 'ceo', subject: '?', request: twice },
  ]) {
    const id = await startFlow(engine, await storeFlow(database, { name: 'large', steps: { a: step } }), {
      big: 'x'.repeat(600_000),
    })
    await engine.ended(id, 5000)
    expect((await readExecution(database, id)).error).toMatchObject({
      code: 'STATE_TOO_LARGE',
      message: expect.stringContaining('1000000'),
    })
  }
})
