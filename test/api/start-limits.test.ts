/** What definitions say around their flows, through the API: slots, rates, priorities, and what `limits` shows of them. */
import { expect, test } from 'vitest'
import { decodeId, encodeId, newUuid } from '../../src/ids.ts'
import type { UserPrincipal } from '../../src/identity/principal.ts'
import { testApi } from '../harness/api.ts'

const { person, run, audited, services, database, engine } = await testApi({ runningPerInitiator: 5 })

const WAIT = { a: { type: 'signal', signals: ['go'] } }
let flows = 0
async function flowOf(owner: UserPrincipal, around: object, visibility = 'PUBLIC'): Promise<string> {
  const definition = { name: `around ${++flows}`, ...around, steps: WAIT }
  const { data } = await run(owner, CREATE, { definition, visibility })
  return data.createFlow.flow.id
}
const CREATE = `mutation ($definition: JSON!, $visibility: FlowVisibility!) {
  createFlow(input: { definition: $definition, visibility: $visibility }) { ... on CreateFlowSuccess { flow { id } } ... on ValidationProblem { issues { code path } } } }`
const START = `mutation ($input: StartExecutionInput!) { startExecution(input: $input) {
  __typename ... on Problem { message } ... on LimitReachedProblem { retryAfterMs } ... on StartExecutionSuccess { replayed execution { id priority status } } } }`
const start = async (who: UserPrincipal, flow: string, more: object = {}) =>
  (await run(who, START, { input: { flow, input: {}, ...more } })).data.startExecution
const WAITING = `query ($id: ID!) { execution(id: $id) { status waitingFor { kind since until
  slot { key max held waiting place heldAt holders { id } execution { id } } } } }`
const LIMITS = `query ($flow: ID, $name: String!) { limits { running { running max initiator { id } }
  slots(filter: { flow: $flow }) { edges { node { key held waiting place heldAt execution { id } holders { id } } } }
  rates(flow: $name) { max per remaining resetMs eachInitiator } } }`

test('whoever waits for its turn says behind whom, since when, and until when; others are counts', async () => {
  const [owner, other] = [await person(), await person()]
  const flow = await flowOf(owner, { concurrency: { max: 1, key: '${{ input.customer }}' } })
  const first = await start(other, flow, { input: { customer: 'x' } })
  const second = await start(owner, flow, { input: { customer: 'x' } })
  const third = await start(other, flow, { input: { customer: 'x' } })
  await expect.poll(async () => (await run(other, WAITING, { id: first.execution.id })).data.execution.status).toBe('WAITING')
  const { waitingFor } = (await run(owner, WAITING, { id: second.execution.id })).data.execution
  expect(waitingFor).toMatchObject({ kind: 'SLOT', slot: { key: 'x', max: 1, held: 1, waiting: 2, place: 1, heldAt: null } })
  expect(waitingFor.slot.holders).toEqual([{ id: first.execution.id }])
  expect(new Date(waitingFor.until).getTime()).toBeGreaterThan(new Date(waitingFor.since).getTime())
  const seen = (await run(other, LIMITS, { flow, name: flow })).data.limits
  expect(seen.running).toMatchObject({ running: 2, max: 5, initiator: { id: expect.any(String) } })
  expect(seen.slots.edges.map(({ node }: { node: object }) => node)).toMatchObject([
    { key: 'x', held: 1, waiting: 2, place: null, execution: { id: first.execution.id } },
    { key: 'x', place: 2, heldAt: null, execution: { id: third.execution.id } },
  ])
  // one that sees none of them does not see the key either
  const stranger = (await run(await person(), LIMITS, { flow, name: flow })).data.limits
  expect(stranger).toMatchObject({ running: { running: 0 }, slots: { edges: [] }, rates: [] })
  const later = await start(owner, flow, { input: { customer: 'x' }, startAt: new Date(Date.now() + 3_600_000).toISOString() })
  expect((await run(owner, WAITING, { id: later.execution.id })).data.execution.waitingFor).toMatchObject({
    kind: 'START',
    slot: null,
  })
})

test('a key that is made of sensitive input is shown to nobody', async () => {
  const me = await person()
  const input = { type: 'object', properties: { who: { type: 'string', sensitive: true } } }
  const flow = await flowOf(me, { input, concurrency: { max: 1, key: '${{ input.who }}' } })
  await start(me, flow, { input: { who: 'Ann Example' } })
  const { slots } = (await run(me, LIMITS, { flow, name: flow })).data.limits
  expect(slots.edges[0].node).toMatchObject({ key: null, held: 1 })
  expect(JSON.stringify(await database.query('select * from sluice.slots'))).not.toContain('Ann Example')
})

test('a flow is started so often and not more; a replay does not count, and a refusal is audited (C2, A7)', async () => {
  const [me, other] = [await person(), await person()]
  const flow = await flowOf(me, {
    rate: [
      { max: 3, per: 'PT1H' },
      { max: 2, per: 'PT1H', each: 'initiator' },
    ],
  })
  const first = await start(me, flow, { idempotencyKey: 'k' })
  expect(first.__typename).toBe('StartExecutionSuccess')
  for (let at = 0; at < 3; at++) expect(await start(me, flow, { idempotencyKey: 'k' })).toMatchObject({ replayed: true })
  expect((await start(me, flow)).__typename).toBe('StartExecutionSuccess')
  const refused = await start(me, flow)
  expect(refused).toMatchObject({ __typename: 'LimitReachedProblem' })
  expect(refused.retryAfterMs).toBeGreaterThan(3_500_000)
  expect(refused.retryAfterMs).toBeLessThanOrEqual(3_600_000)
  expect(await start(me, flow, { idempotencyKey: 'k' })).toMatchObject({ replayed: true })
  const { rates } = (await run(other, LIMITS, { flow, name: flow })).data.limits
  expect(rates).toMatchObject([
    { max: 3, per: 'PT1H', remaining: 1, eachInitiator: false },
    { max: 2, remaining: 2, eachInitiator: true },
  ])
  expect((await start(other, flow)).__typename).toBe('StartExecutionSuccess')
  expect((await start(other, flow)).__typename).toBe('LimitReachedProblem')
  await services.refusals.runOnce({ all: true })
  const refusals = (await audited(me.id)).filter(({ type }) => type === 'execution.startRefused')
  expect(refusals.map(({ errorCode }) => errorCode)).toEqual(['LIMIT_REACHED'])
})

test('of 20 starts at once exactly as many are let in as the rate says (C2)', async () => {
  const me = await person('ADMIN')
  const flow = await flowOf(me, { rate: { max: 4, per: 'PT1M', key: '${{ input.k }}' } })
  const answers = await Promise.all(Array.from({ length: 20 }, () => start(me, flow, { input: { k: 1 } })))
  expect(answers.filter(({ __typename }) => __typename === 'StartExecutionSuccess')).toHaveLength(4)
})

test('the priority of a flow is that of its executions, unless the caller says another', async () => {
  const me = await person()
  const flow = await flowOf(me, { priority: 7 })
  expect((await start(me, flow)).execution.priority).toBe(7)
  expect((await start(me, flow, { priority: -3 })).execution.priority).toBe(-3)
  expect((await start(me, flow, { priority: 0 })).execution.priority).toBe(0)
})

test('how many somebody else has running is for administrators (A8)', async () => {
  const [me, admin] = [await person(), await person('ADMIN')]
  const flow = await flowOf(me, {})
  for (let at = 0; at < 5; at++) await start(me, flow)
  const over = await start(me, flow)
  expect(over).toMatchObject({ __typename: 'LimitReachedProblem' })
  expect(over.retryAfterMs).toBeGreaterThan(0)
  const RUNNING = 'query ($id: ID!) { limits { running(initiator: $id) { running max } } }'
  const mine = (await run(me, '{ limits { running { initiator { id } } } }')).data
  const id = mine.limits.running.initiator.id
  expect((await run(admin, RUNNING, { id })).data.limits.running).toEqual({ running: 5, max: 5 })
  expect((await run(await person(), RUNNING, { id })).codes).toEqual(['FORBIDDEN'])
})

const BROKEN = { a: { type: 'fail', message: 'no luck, ${{ input.who }}', code: 'NO_LUCK' } }
/** Executions that were started for failures of this flow. */
const handlersOf = (flow: string) =>
  database.query<{ id: string; initiator: string; input: Record<string, unknown>; status: string }>(
    `select e.id, e.initiator_id as initiator, i.body as input, e.status from sluice.failures f
     join sluice.executions x on x.id = f.execution_id join sluice.executions e on e.id = f.handled_by
     join sluice.execution_inputs i on i.execution_id = e.id where x.flow_id = $1`,
    [decodeId('flow', flow)],
  )
async function failing(owner: UserPrincipal, definition: object): Promise<string> {
  const { data } = await run(owner, CREATE, { definition, visibility: 'PUBLIC' })
  return data.createFlow.flow.id
}

test('a failure starts the flow that is named for it, once, as whoever published it, with what is sensitive masked', async () => {
  const [owner, caller] = [await person(), await person()]
  await failing(owner, { name: 'tell', steps: { a: { type: 'transform', set: { said: '${{ input.reason }}' } } } })
  const input = { type: 'object', properties: { who: { type: 'string', sensitive: true } } }
  const flow = await failing(owner, { name: 'breaks', input, onFailure: { flow: 'tell' }, steps: BROKEN })
  const { execution } = await start(caller, flow, { input: { who: 'Ann Example' }, waitMs: 5_000 })
  await expect.poll(() => handlersOf(flow), { interval: 10, timeout: 5_000 }).toHaveLength(1)
  await Promise.all([engine.failures.runOnce(), engine.failures.runOnce()])
  const [handler, ...more] = await handlersOf(flow)
  expect(more).toEqual([])
  expect(handler!.initiator).toBe(owner.id)
  expect(handler!.input).toMatchObject({
    execution: execution.id,
    flow: 'breaks',
    status: 'FAILED',
    error: { code: 'NO_LUCK', step: 'a' },
  })
  expect(JSON.stringify(handler!.input)).not.toContain('Ann Example')
  const FAMILY = `query ($id: ID!) { execution(id: $id) { failureHandledBy { id } failureOf { id } } }`
  const [handlerId, seen] = [
    encodeId('execution', handler!.id),
    async (id: string) => (await run(owner, FAMILY, { id })).data.execution,
  ]
  expect(await seen(execution.id)).toEqual({ failureHandledBy: { id: handlerId }, failureOf: null })
  expect(await seen(handlerId)).toEqual({ failureHandledBy: null, failureOf: { id: execution.id } })
  const started = (await audited(owner.id)).filter(
    ({ type, executionId }) => type === 'execution.started' && executionId === handler!.id,
  )
  expect(started.map(({ metadata }) => metadata)).toEqual([{ failureOf: execution.id }])
})

test('failures take at most half of what their publisher may have running (A8)', async () => {
  const [owner, caller] = [await person(), await person()]
  await failing(owner, { name: 'tell', steps: WAIT })
  const flow = await failing(owner, { name: 'breaks often', onFailure: { flow: 'tell' }, steps: BROKEN })
  for (let at = 0; at < 5; at++) await start(caller, flow, { waitMs: 5_000 })
  await expect.poll(() => handlersOf(flow), { interval: 10, timeout: 5_000 }).toHaveLength(2)
  // those that were refused are tried again later
  await database.query('update sluice.failures set next_at = now()')
  await engine.failures.runOnce()
  expect(await handlersOf(flow)).toHaveLength(2)
  const mine = await flowOf(owner, {})
  for (let at = 0; at < 3; at++) expect(await start(owner, mine)).toMatchObject({ __typename: 'StartExecutionSuccess' })
})

test('a flow that is started for a failure and fails starts none; a cancel is no failure, a time-out is one', async () => {
  const owner = await person()
  const flow = await failing(owner, {
    name: 'again',
    onFailure: { flow: 'again' },
    steps: { a: { type: 'fail', message: 'no' } },
  })
  await start(owner, flow)
  await expect.poll(() => handlersOf(flow), { interval: 10, timeout: 5_000 }).toMatchObject([{ status: 'FAILED' }])
  const refused = 'select refused from sluice.failures where refused is not null'
  await expect
    .poll(() => database.query(refused), { interval: 10, timeout: 5_000 })
    .toEqual([{ refused: 'It was itself started for a failure.' }])
  expect(await handlersOf(flow)).toHaveLength(1)
  const slow = await failing(owner, { name: 'slow', onFailure: { flow: 'tell' }, timeout: 'PT0.2S', steps: WAIT })
  await failing(owner, { name: 'tell', steps: { a: { type: 'transform', set: {} } } })
  const canceled = (await start(owner, slow)).execution.id
  await engine.cancel({ executionId: decodeId('execution', canceled)! })
  await start(owner, slow)
  await expect.poll(() => handlersOf(slow), { interval: 10, timeout: 5_000 }).toHaveLength(1)
  expect((await handlersOf(slow))[0]!.input).toMatchObject({ status: 'TIMED_OUT', error: { code: 'FLOW_TIMEOUT' } })
})

test('what may not be started for a failure, since it is not there, says so', async () => {
  const owner = await person()
  const flow = await failing(owner, { name: 'lost', onFailure: { flow: 'nowhere' }, steps: BROKEN })
  await start(owner, flow, { input: { who: 'x' } })
  const refused = `select f.refused from sluice.failures f join sluice.executions e on e.id = f.execution_id where e.flow_id = $1`
  await expect
    .poll(() => database.query(refused, [decodeId('flow', flow)]), { interval: 10, timeout: 5_000 })
    .toMatchObject([{ refused: expect.stringContaining('nowhere') }])
})

test('a key that may not start flows publishes none that starts one when it fails (B9)', async () => {
  const owner = await person()
  const key = {
    kind: 'API_KEY',
    id: newUuid(),
    actsAs: owner.id,
    ownerId: owner.id,
    role: 'USER',
    expiresAt: Number.MAX_SAFE_INTEGER,
  } as const
  const definition = { name: 'by key', onFailure: { flow: 'tell' }, steps: BROKEN }
  const publish = (...scopes: ('FLOWS_WRITE' | 'EXECUTIONS_WRITE')[]) =>
    run({ ...key, scopes: new Set(scopes) }, CREATE, { definition, visibility: 'PRIVATE' })
  expect((await publish('FLOWS_WRITE')).codes).toEqual(['FORBIDDEN'])
  expect((await publish('FLOWS_WRITE', 'EXECUTIONS_WRITE')).codes).toEqual([])
})
