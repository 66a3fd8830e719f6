/** Signals through the API: early, late, twice, too many; what takes them, and who may send them. */
import { expect, test } from 'vitest'
import type { Principal } from '../../src/identity/principal.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import { createExecutionLink } from '../../src/operations/executions/create-execution-link.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { as, testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'

const { person, run, engine, call, audited, services } = await testApi()
let number = 0

const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
  __typename ... on CreateFlowSuccess { flow { id } } ... on ValidationProblem { issues { code path message hint } } } }`
const START = `mutation ($flow: String!, $input: JSON) { startExecution(input: { flow: $flow, input: $input }) {
  __typename ... on StartExecutionSuccess { execution { id } } } }`
const SIGNAL = `mutation ($input: SignalExecutionInput!) { signalExecution(input: $input) {
  __typename
  ... on SignalExecutionSuccess { replayed execution { id status } }
  ... on Problem { code message }
  ... on ValidationProblem { issues { code path hint } } } }`
const WATCH = `query ($id: ID!) { execution(id: $id) {
  status output waitingFor { kind step signals needed until } error { code }
  steps { name status output } events { type step data } } }`

async function createFlow(owner: Principal, steps: object, more: object = {}): Promise<string> {
  const definition = { name: `signals ${++number}`, steps, ...more }
  const { data } = await run(owner, CREATE, { definition })
  return as('CreateFlowSuccess', data.createFlow).flow.id
}
async function start(who: Principal, flow: string, input: object = {}): Promise<string> {
  const { data } = await run(who, START, { flow, input })
  return as('StartExecutionSuccess', data.startExecution).execution.id
}
const signal = async (who: Principal, id: string, name: string, data: unknown = null, idempotencyKey?: string) =>
  (await run(who, SIGNAL, { input: { id, signal: name, data, idempotencyKey } })).data?.signalExecution
const look = async (who: Principal, id: string) => (await run(who, WATCH, { id })).data.execution
async function ended(who: Principal, id: string) {
  await engine.ended(decodeId('execution', id)!, 10_000)
  return look(who, id)
}

const PAID = { pay: { type: 'signal', signals: ['paid', 'canceled'] } }

test('the first of several signals ends the wait for all of them: what came, with its data and who sent it', async () => {
  const owner = await person()
  const id = await start(owner, await createFlow(owner, PAID))
  expect((await look(owner, id)).waitingFor).toMatchObject({
    kind: 'SIGNAL',
    step: 'pay',
    signals: ['paid', 'canceled'],
    needed: 1,
  })
  expect(await signal(owner, id, 'paid', { amount: 12 })).toMatchObject({ __typename: 'SignalExecutionSuccess', replayed: false })
  const done = await ended(owner, id)
  expect(done.status).toBe('SUCCEEDED')
  expect(done.steps[0].output).toEqual({
    received: ['paid'],
    signals: { paid: { data: { amount: 12 }, sentBy: encodeId('user', owner.id), at: expect.any(String) } },
  })
  expect(done.events).toContainEqual({
    type: 'signal.received',
    step: null,
    data: { name: 'paid', sentBy: encodeId('user', owner.id), bytes: 13, data: { amount: 12 } },
  })
  expect(await signal(owner, id, 'canceled')).toMatchObject({ __typename: 'IllegalStateProblem' })
  expect((await audited(owner.id)).map(({ type }) => type)).toContain('execution.signaled')
})

test('a signal that came before its step began is not lost', async () => {
  const owner = await person()
  const flow = await createFlow(owner, {
    first: { type: 'signal', signals: ['go'] },
    then: { type: 'signal', after: ['first'], signals: ['paid'] },
  })
  const id = await start(owner, flow)
  await signal(owner, id, 'paid', 'early')
  expect((await look(owner, id)).waitingFor).toMatchObject({ signals: ['go'] })
  await signal(owner, id, 'go')
  expect((await ended(owner, id)).steps[1].output).toMatchObject({ received: ['paid'], signals: { paid: { data: 'early' } } })
})

test('nor is one that came before its execution began', async () => {
  const owner = await person()
  const flow = await createFlow(owner, PAID)
  const startAt = new Date(Date.now() + 400).toISOString()
  const { data } = await run(
    owner,
    `mutation { startExecution(input: { flow: "${flow}", startAt: "${startAt}" }) { ... on StartExecutionSuccess { execution { id } } } }`,
  )
  const { id } = data.startExecution.execution
  expect((await signal(owner, id, 'paid', 'very early')).execution.status).toBe('PENDING')
  expect((await ended(owner, id)).steps[0].output.signals.paid.data).toBe('very early')
})

test('one signal is for one step, in the order in which they began to wait; so many of so many names', async () => {
  const owner = await person()
  const flow = await createFlow(owner, {
    one: { type: 'signal', signals: ['a', 'b', 'c'], need: 2 },
    two: { type: 'signal', signals: ['a', 'c'], need: 'all' },
  })
  const id = await start(owner, flow)
  for (const name of ['a', 'a', 'c']) await signal(owner, id, name, name)
  // the second `a` waits for `two`, which has none of `c` yet: `one` was there first
  const between = await look(owner, id)
  expect(between.steps.map(({ status }: { status: string }) => status)).toEqual(['SUCCEEDED', 'WAITING'])
  expect(between.steps[0].output.received).toEqual(['a', 'c'])
  await signal(owner, id, 'c', 'again')
  expect((await ended(owner, id)).steps[1].output).toMatchObject({ received: ['a', 'c'], signals: { c: { data: 'again' } } })
})

test('what does not fulfil the condition is left for others, whatever is in it', async () => {
  const owner = await person()
  const flow = await createFlow(
    owner,
    {
      mine: { type: 'signal', signals: ['paid'], where: 'signal.data.order == input.order' },
      other: { type: 'signal', signals: ['paid'], where: 'signal.sentBy != "" && signal.name == "paid"' },
    },
    { input: { type: 'object', properties: { order: { type: 'string' } } } },
  )
  const id = await start(owner, flow, { order: 'o1' })
  await signal(owner, id, 'paid', 'not even an object')
  await signal(owner, id, 'paid', { order: 'o1' })
  const outputs = (await ended(owner, id)).steps.map(
    (step: { output: { signals: Record<string, { data: unknown }> } }) => step.output.signals['paid']!.data,
  )
  expect(outputs).toEqual([{ order: 'o1' }, 'not even an object'])
})

test('a key sends a signal once, also when two calls come together; with other data it is another signal (E2)', async () => {
  const owner = await person()
  const id = await start(owner, await createFlow(owner, { all: { type: 'signal', signals: ['a', 'b'], need: 'all' } }))
  const both = await Promise.all([signal(owner, id, 'a', 1, 'k'), signal(owner, id, 'a', 1, 'k')])
  expect(both.map(({ replayed }) => replayed).sort()).toEqual([false, true])
  expect(await signal(owner, id, 'a', 1, 'k')).toMatchObject({ replayed: true })
  expect(await signal(owner, id, 'a', 2, 'k')).toMatchObject({ __typename: 'IdempotencyMismatchProblem' })
  const received = (await look(owner, id)).events.filter(({ type }: { type: string }) => type === 'signal.received')
  expect(received).toHaveLength(1)
  await signal(owner, id, 'b')
  await ended(owner, id)
  expect(await signal(owner, id, 'a', 1, 'k')).toMatchObject({ __typename: 'SignalExecutionSuccess', replayed: true })
})

test('a name that no step waits for is refused with a hint', async () => {
  const owner = await person()
  const id = await start(owner, await createFlow(owner, PAID))
  expect(await signal(owner, id, 'payd')).toMatchObject({
    __typename: 'ValidationProblem',
    issues: [{ code: 'UNKNOWN_SIGNAL', path: ['signal'], hint: 'did you mean "paid"?' }],
  })
})

test('what waits to be taken is bounded in number and bytes, and nothing of it is lost', async () => {
  const owner = await person()
  const flow = await createFlow(owner, {
    go: { type: 'signal', signals: ['go'] },
    late: { type: 'signal', after: ['go'], signals: ['data'] },
  })
  const [many, large] = [await start(owner, flow), await start(owner, flow)]
  await Promise.all(Array.from({ length: 100 }, (_, sent) => signal(owner, many, 'data', sent)))
  expect(await signal(owner, many, 'data')).toMatchObject({ __typename: 'LimitReachedProblem' })
  const half = 'x'.repeat(499_000)
  for (const data of [`1${half}`, `2${half}`]) expect((await signal(owner, large, 'data', data)).replayed).toBe(false)
  expect(await signal(owner, large, 'data', half)).toMatchObject({ __typename: 'LimitReachedProblem' })
  const events = (await look(owner, large)).events.filter(({ type }: { type: string }) => type === 'signal.received')
  expect(events.map(({ data }: { data: object }) => Object.keys(data))).toEqual([
    ['name', 'sentBy', 'bytes'],
    ['name', 'sentBy', 'bytes'],
  ])
  const [first] = (await run(owner, `{ execution(id: "${large}") { signals(first: 1) { name bytes takenBy data } } }`)).data
    .execution.signals
  expect(first).toEqual({ name: 'data', bytes: 499_003, takenBy: null, data: `1${half}` })
  await signal(owner, large, 'go')
  expect((await ended(owner, large)).steps[1].output.signals.data.data).toBe(`1${half}`)
})

test('a loop takes a signal each time, those that came early first', async () => {
  const owner = await person()
  const flow = await createFlow(owner, {
    chat: { type: 'loop', times: 3, until: 'last.signals.line.data == "bye"', step: { type: 'signal', signals: ['line'] } },
  })
  const id = await start(owner, flow)
  await Promise.all([signal(owner, id, 'line', 'hello'), signal(owner, id, 'line', 'well')])
  expect((await look(owner, id)).waitingFor).toMatchObject({ kind: 'SIGNAL', step: 'chat' })
  await signal(owner, id, 'line', 'bye')
  const done = await ended(owner, id)
  expect([done.status, done.steps[0].output.signals.line.data]).toEqual(['SUCCEEDED', 'bye'])
})

test('without its signals the step fails when its time is over; canceling ends its wait', async () => {
  const owner = await person()
  const late = await start(owner, await createFlow(owner, { pay: { type: 'signal', signals: ['paid'], timeout: 'PT0.05S' } }))
  expect(await ended(owner, late)).toMatchObject({ status: 'FAILED', error: { code: 'SIGNAL_TIMEOUT' } })
  const id = await start(owner, await createFlow(owner, PAID))
  await run(owner, `mutation { cancelExecution(input: { id: "${id}" }) { __typename } }`)
  expect(await ended(owner, id)).toMatchObject({ status: 'CANCELED', steps: [{ status: 'CANCELED' }] })
})

test('a paused execution takes signals, and goes on with them when it is resumed', async () => {
  const owner = await person()
  const id = await start(owner, await createFlow(owner, { ...PAID, then: { type: 'transform', after: ['pay'], set: {} } }))
  await run(owner, `mutation { pauseExecution(input: { id: "${id}" }) { __typename } }`)
  await signal(owner, id, 'paid')
  expect(await look(owner, id)).toMatchObject({ status: 'PAUSED', steps: [{ status: 'SUCCEEDED' }, { status: 'PENDING' }] })
  await run(owner, `mutation { resumeExecution(input: { id: "${id}" }) { __typename } }`)
  expect((await ended(owner, id)).status).toBe('SUCCEEDED')
})

test('signals come from who started it, who manages the flow and administrators; links and others send none (C2)', async () => {
  const [owner, starter, stranger, admin] = [await person(), await person(), await person(), await person('ADMIN')]
  const flow = await createFlow(owner, { all: { type: 'signal', signals: ['a', 'b', 'c'], need: 'all' } })
  await run(
    owner,
    `mutation { grantFlowAccess(input: { flowId: "${flow}", grants: [{ to: { user: "${starter.handle}" }, action: EXECUTE }] }) { __typename } }`,
  )
  const id = await start(starter, flow)
  expect(await signal(stranger, id, 'a')).toMatchObject({ __typename: 'NotFoundProblem' })
  const executionId = decodeId('execution', id)!
  const { token } = unwrap(await createExecutionLink(call(owner), { executionId, may: 'ANSWER' }))
  const key = unwrap(await createApiKey(call(starter), { name: 'reader', scopes: ['EXECUTIONS_READ'] }))
  for (const secret of [token, key.secret]) {
    const checked = await services.identity.authenticate(secret)
    if (!checked.ok) throw new Error(checked.reason)
    const refused = await run(checked.principal, SIGNAL, { input: { id, signal: 'a' } })
    expect(refused.codes).toEqual(['FORBIDDEN'])
  }
  for (const [who, name] of [
    [starter, 'a'],
    [owner, 'b'],
    [admin, 'c'],
  ] as const)
    expect(await signal(who, id, name)).toMatchObject({ __typename: 'SignalExecutionSuccess' })
  expect((await ended(owner, id)).status).toBe('SUCCEEDED')
})

test.each([
  [{ signals: [] }, 'INVALID_VALUE'],
  [{ signals: ['a', 'a'] }, 'DUPLICATE'],
  [{ signals: ['a b'] }, 'INVALID_NAME'],
  [{ signals: ['a'], need: 2 }, 'INVALID_VALUE'],
  [{ signals: ['a'], where: 'signals.data' }, 'INVALID_EXPRESSION'],
])('the definition %j is refused', async (step, code) => {
  const definition = { name: 'x', steps: { wait: { type: 'signal', ...step }, sees: { type: 'transform', set: {} } } }
  const { data } = await run(await person(), CREATE, { definition })
  expect(as('ValidationProblem', data.createFlow).issues[0].code).toBe(code)
})

test('only the condition of a signal step sees the signal', async () => {
  const definition = {
    name: 'x',
    steps: { a: { type: 'transform', when: 'signal.data == 1', set: { b: '${{ [1].map(signal, signal) }}' } } },
  }
  const { data } = await run(await person(), CREATE, { definition })
  expect(as('ValidationProblem', data.createFlow).issues.map(({ path }: { path: string[] }) => path)).toEqual([
    ['steps', 'a', 'when'],
  ])
})
