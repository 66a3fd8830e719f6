/** Full command over what runs, through the API: retries with their plan, pauses, many at once, and why something does not move. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Principal } from '../../src/identity/principal.ts'
import { isProblem } from '../../src/errors.ts'
import { decodeId, encodeId, newUuid } from '../../src/ids.ts'
import { claimBulk } from '../../src/operations/executions/claim-bulk.ts'
import { getExecution } from '../../src/operations/executions/get-execution.ts'
import { readWaiting } from '../../src/operations/executions/read-waiting.ts'
import { as, testApi } from '../harness/api.ts'
import { age, superuserOf } from '../harness/age.ts'

/** Handlers whose outcome the tests steer: what they were given, by their name; and which of them fail. */
const calls: { name: string; input: unknown }[] = []
const failing = new Set<string>()
const work = (input: unknown) => {
  const { name } = input as { name: string }
  calls.push({ name, input })
  if (failing.has(name)) throw new Error(`${name} does not work`)
  return { from: name, times: calls.filter((one) => one.name === name).length }
}
/** Those of docs/control.md. */
const named = (name: string) => () => work({ name })
const handlers = { work, reserve_stock: named('reserve_stock'), charge_card: named('charge_card') }
const api = await testApi({ handlers, runningPerInitiator: 12 })
const { person, run, engine, audited } = api
let number = 0

const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition, visibility: PUBLIC }) {
  __typename ... on CreateFlowSuccess { flow { id version } } ... on ValidationProblem { issues { code path message hint } } } }`
const START = `mutation ($flow: String!, $input: JSON, $waitMs: Int) {
  startExecution(input: { flow: $flow, input: $input, waitMs: $waitMs, labels: [{ key: "team", value: "red" }], priority: 7 }) {
    __typename ... on StartExecutionSuccess { execution { id status } } ... on Problem { code message } } }`
const PLAN = `query ($id: ID!, $from: String, $fromStart: Boolean, $newestVersion: Boolean) {
  planRetry(id: $id, from: $from, fromStart: $fromStart, newestVersion: $newestVersion) {
    possible whyNot flowVersion { number } steps { name action why } counts { action count } } }`
const RETRY = `mutation ($input: RetryExecutionInput!) { retryExecution(input: $input) {
  __typename
  ... on RetryExecutionSuccess { replayed execution { id } }
  ... on Problem { code message }
  ... on ValidationProblem { issues { code path hint } } } }`
const WATCH = `query ($id: ID!) { execution(id: $id) {
  id status input state output reason priority labels { key value } retryOf { id } retriedBy { id } routeTaken completedSteps stateBytes
  progress { total finished failed skipped } error { code step } initiator { id } flowVersion { number }
  steps { name path status attempt output redacted reusedFrom { id } error { code } counts { total succeeded } items { edges { node { path output } } } }
  events { seq type step data } } }`

async function createFlow(owner: Principal, steps: object, more: object = {}): Promise<string> {
  const { data } = await run(owner, CREATE, { definition: { name: `control ${++number}`, steps, ...more } })
  expect(data.createFlow.issues).toBeUndefined()
  return as('CreateFlowSuccess', data.createFlow).flow.id
}
async function start(who: Principal, flow: string, input: object = {}, waitMs = 10_000): Promise<string> {
  const { data } = await run(who, START, { flow, input, waitMs })
  return as('StartExecutionSuccess', data.startExecution).execution.id
}
const look = async (who: Principal, id: string) => (await run(who, WATCH, { id })).data.execution
const plan = async (who: Principal, id: string, more: object = {}) => (await run(who, PLAN, { id, ...more })).data.planRetry
const actionsOf = (planned: { steps: { name: string; action: string }[] }) =>
  Object.fromEntries(planned.steps.map(({ name, action }) => [name, action]))
const retry = async (who: Principal, id: string, more: object = {}) =>
  (await run(who, RETRY, { input: { id, ...more } })).data?.retryExecution
async function retried(who: Principal, id: string, more: object = {}): Promise<string> {
  return as('RetryExecutionSuccess', await retry(who, id, more)).execution.id
}
async function ended(who: Principal, id: string) {
  await engine.ended(decodeId('execution', id)!, 10_000)
  return look(who, id)
}
const handler = (name: string, more: object = {}) => ({ type: 'handler', handler: 'work', with: { name }, ...more })

const ORDER = {
  choose: { type: 'route', cases: [{ when: 'input.express', to: 'fast' }], otherwise: 'slow' },
  fast: handler('fast', { on: 'choose:fast' }),
  slow: handler('slow', { on: 'choose:slow' }),
  pack: handler('pack', { after: { any: ['fast', 'slow'] } }),
  ship: handler('ship', { after: ['pack'] }),
  tell: { type: 'notify', after: ['ship'], roles: ['ceo'], message: { shipped: '${{ steps.ship.output }}' } },
}

test('a retry begins with the step that failed, uses again what succeeded, and its plan said so (E6)', async () => {
  const owner = await person()
  const flow = await createFlow(owner, ORDER, {
    output: { pack: '${{ steps.pack.output.times }}', ship: '${{ steps.ship.output.from }}' },
  })
  failing.add('ship')
  calls.length = 0
  const id = await start(owner, flow, { express: true })
  const before = await look(owner, id)
  expect(before).toMatchObject({ status: 'FAILED', error: { step: 'ship' }, retriedBy: null })
  const planned = await plan(owner, id)
  expect(planned).toMatchObject({ possible: true, whyNot: null, flowVersion: { number: 1 } })
  expect(actionsOf(planned)).toEqual({
    choose: 'REUSE',
    fast: 'REUSE',
    slow: 'SKIP',
    pack: 'REUSE',
    ship: 'RUN',
    tell: 'MAY_RUN',
  })
  expect(planned.steps.find(({ name }: { name: string }) => name === 'ship').why).toBe('It failed.')
  expect(planned.counts).toEqual([
    ...[
      { action: 'REUSE', count: 3 },
      { action: 'RUN', count: 1 },
    ],
    ...[
      { action: 'MAY_RUN', count: 1 },
      { action: 'SKIP', count: 1 },
    ],
  ])

  failing.delete('ship')
  const again = await ended(owner, await retried(owner, id, { reason: 'the carrier is back' }))
  expect(calls.map(({ name }) => name)).toEqual(['fast', 'pack', 'ship', 'ship'])
  expect(again).toMatchObject({
    ...{ status: 'SUCCEEDED', output: { pack: 1, ship: 'ship' }, retryOf: { id }, routeTaken: 'fast', input: { express: true } },
    ...{ priority: 7, labels: [{ key: 'team', value: 'red' }], flowVersion: { number: 1 } },
    progress: { total: 6, finished: 6, failed: 0, skipped: 1 },
    completedSteps: ['choose', 'fast', 'pack', 'ship', 'tell'],
  })
  expect(await look(owner, id)).toMatchObject({ ...before, retriedBy: { id: again.id } })
  const stepOf = (name: string) => again.steps.find((step: { name: string }) => step.name === name)
  expect(stepOf('pack')).toMatchObject({ status: 'SUCCEEDED', output: { from: 'pack', times: 1 }, reusedFrom: { id } })
  expect(stepOf('slow')).toMatchObject({ status: 'SKIPPED', reusedFrom: { id } })
  expect(stepOf('ship')).toMatchObject({ status: 'SUCCEEDED', reusedFrom: null })
  expect(again.state.steps.pack).toEqual({ from: 'pack', times: 1 })
  const size = (value: unknown) => JSON.stringify(value).length
  expect(again.stateBytes).toBe(before.stateBytes + size(stepOf('ship').output) + size(stepOf('tell').output))
  expect(again.events.slice(0, 5)).toEqual([
    { seq: 1, type: 'execution.started', step: null, data: { retryOf: id, reason: 'the carrier is back' } },
    { seq: 2, type: 'step.reused', step: 'choose', data: { execution: id, status: 'SUCCEEDED', route: 'fast' } },
    { seq: 3, type: 'step.reused', step: 'fast', data: { execution: id, status: 'SUCCEEDED' } },
    { seq: 4, type: 'step.reused', step: 'slow', data: { execution: id, status: 'SKIPPED' } },
    { seq: 5, type: 'step.reused', step: 'pack', data: { execution: id, status: 'SUCCEEDED' } },
  ])
  expect(await audited(owner.id)).toContainEqual(
    expect.objectContaining({ type: 'execution.started', metadata: { retryOf: id } }),
  )
})

test('a retry is a line: what was tried again is not tried again beside it, its retry is; from the start as often as one likes', async () => {
  const owner = await person()
  const flow = await createFlow(owner, { a: handler('a1'), b: handler('b1', { after: ['a'] }) })
  failing.add('b1')
  const first = await start(owner, flow)
  const second = await retried(owner, first)
  await ended(owner, second)
  const beside = await retry(owner, first)
  expect(beside).toMatchObject({ __typename: 'IllegalStateProblem', message: expect.stringContaining(second) })
  expect(await plan(owner, first)).toMatchObject({ possible: false, whyNot: expect.stringContaining(second) })
  failing.delete('b1')
  const third = await ended(owner, await retried(owner, second))
  expect(third).toMatchObject({ status: 'SUCCEEDED', retryOf: { id: second } })
  // where it really ran, not where it was used again before
  expect(third.steps[0].reusedFrom).toEqual({ id: first })
  expect(await retry(owner, third.id)).toMatchObject({ __typename: 'IllegalStateProblem' })
  const [anew, other] = [await retried(owner, first, { fromStart: true }), await retried(owner, first, { input: { x: 1 } })]
  expect(await ended(owner, anew)).toMatchObject({ status: 'SUCCEEDED', input: {}, retryOf: { id: first } })
  const changed = await ended(owner, other)
  expect(changed).toMatchObject({ status: 'SUCCEEDED', input: { x: 1 } })
  expect(changed.steps.map(({ reusedFrom }: { reusedFrom: unknown }) => reusedFrom)).toEqual([null, null])
})

test('of retries that come at once one is done, with a key the others answer with it (E1, E2)', async () => {
  const owner = await person()
  const flow = await createFlow(owner, { a: handler('a2') })
  failing.add('a2')
  const [keyed, bare] = [await start(owner, flow), await start(owner, flow)]
  const answers = await Promise.all(Array.from({ length: 5 }, () => retry(owner, keyed, { idempotencyKey: 'once' })))
  expect(new Set(answers.map((answer) => answer.execution.id)).size).toBe(1)
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
  await ended(owner, answers[0].execution.id)
  expect(await retry(owner, keyed, { idempotencyKey: 'once' })).toMatchObject({ replayed: true, execution: answers[0].execution })
  expect(await retry(owner, keyed, { idempotencyKey: 'once', fromStart: true })).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' })
  const without = await Promise.all(Array.from({ length: 5 }, () => retry(owner, bare)))
  expect(without.map(({ __typename }) => __typename).toSorted()).toEqual([
    ...Array.from({ length: 4 }, () => 'IllegalStateProblem'),
    'RetryExecutionSuccess',
  ])
})

test('what was undone runs again, from another step if one says so, and in the newest version what is defined differently', async () => {
  const owner = await person()
  const undo = { compensate: { type: 'handler', handler: 'work', with: { name: 'undo' } } }
  const steps = {
    look: handler('look'),
    book: handler('book', { after: ['look'], ...undo }),
    pay: handler('pay', { after: ['book'] }),
  }
  const flow = await createFlow(owner, steps)
  failing.add('pay')
  const id = await start(owner, flow)
  expect(actionsOf(await plan(owner, id))).toEqual({ look: 'REUSE', book: 'RUN', pay: 'MAY_RUN' })
  expect(actionsOf(await plan(owner, id, { from: 'look' }))).toEqual({ look: 'RUN', book: 'MAY_RUN', pay: 'MAY_RUN' })
  expect(actionsOf(await plan(owner, id, { fromStart: true }))).toEqual({ look: 'RUN', book: 'MAY_RUN', pay: 'MAY_RUN' })
  const misspelt = await retry(owner, id, { from: 'bock' })
  expect(misspelt.issues).toEqual([{ code: 'UNKNOWN_STEP', path: ['from'], hint: 'did you mean "book"?' }])
  expect((await plan(owner, id, { from: 'bock' })).whyNot).toContain('did you mean "book"?')
  expect((await retry(owner, id, { from: 'book', fromStart: true })).issues[0].path).toEqual(['from'])

  const publish = `mutation ($flowId: ID!, $definition: JSON!) { publishFlowVersion(input: { flowId: $flowId, definition: $definition,
    expectedVersion: 1 }) { __typename } }`
  const better = { ...steps, book: handler('book', { after: ['look'] }), pay: handler('pay better', { after: ['book'] }) }
  await run(owner, publish, { flowId: flow, definition: { name: `control ${number}`, steps: better } })
  expect(await plan(owner, id, { newestVersion: true })).toMatchObject({ flowVersion: { number: 2 } })
  calls.length = 0
  const again = await ended(owner, await retried(owner, id, { newestVersion: true }))
  expect(again).toMatchObject({ status: 'SUCCEEDED', flowVersion: { number: 2 } })
  expect(calls.map(({ name }) => name)).toEqual(['book', 'pay better'])
  failing.delete('pay')
})

test('a map and a child that succeeded are used again with what is inside of them', async () => {
  const owner = await person()
  const child = await createFlow(owner, { inner: handler('inner') }, { output: { x: '${{ steps.inner.output.from }}' } })
  expect(child).toBeDefined()
  const flow = await createFlow(owner, {
    all: { type: 'map', over: '${{ [1, 2, 3] }}', step: handler('item') },
    sub: { type: 'flow', flow: `control ${number}`, input: {} },
    last: handler('last', { after: ['all', 'sub'] }),
  })
  failing.add('last')
  const id = await start(owner, flow)
  failing.delete('last')
  calls.length = 0
  const again = await ended(owner, await retried(owner, id))
  expect(calls.map(({ name }) => name)).toEqual(['last'])
  const [all, sub] = again.steps
  expect(all).toMatchObject({ reusedFrom: { id }, counts: { total: 3, succeeded: 3 } })
  expect(all.items.edges.map(({ node }: { node: { path: string } }) => node.path)).toEqual([
    'all.items[0]',
    'all.items[1]',
    'all.items[2]',
  ])
  expect(sub).toMatchObject({ output: { x: 'inner' }, reusedFrom: { id } })
})

test('only who may control it and start the flow may try it again, and not once it is too old (B4, A11)', async () => {
  const [owner, guest, admin] = [await person(), await person(), await person('ADMIN')]
  const flow = await createFlow(owner, {
    a: handler('a3', { returns: { type: 'object', properties: { from: { type: 'string', sensitive: true } } } }),
    b: handler('b3', { after: ['a'] }),
  })
  failing.add('b3')
  const id = await start(guest, flow)
  // the owner of the flow sees it, and may not control it
  expect((await run(owner, RETRY, { input: { id } })).codes).toEqual(['FORBIDDEN'])
  expect(await retry(await person(), id)).toMatchObject({ code: 'NOT_FOUND' })
  const again = await ended(admin, await retried(admin, id))
  expect(again).toMatchObject({ initiator: { id: encodeId('user', admin.id) } })
  // whose retry it is that one may not see, is not told
  const { whyNot } = await plan(guest, id)
  expect(whyNot).toContain('somebody else')
  expect(whyNot).not.toContain(again.id)
  // what is sensitive stays masked where it is used again
  expect(again.steps[0]).toMatchObject({ reusedFrom: { id }, redacted: ['/output/from'] })

  const narrow = await start(guest, flow)
  const hide = `mutation ($flowId: ID!) { updateFlow(input: { flowId: $flowId, visibility: PRIVATE, expectedVersion: 1 }) { __typename } }`
  expect((await run(owner, hide, { flowId: flow })).data.updateFlow.__typename).toBe('UpdateFlowSuccess')
  expect((await run(guest, RETRY, { input: { id: narrow } })).codes).toEqual(['FORBIDDEN'])
  // nor is shown what the flow has become meanwhile
  for (const more of [{}, { from: 'aa' }])
    expect(await plan(guest, narrow, { newestVersion: true, ...more })).toMatchObject({
      ...{ possible: false, whyNot: 'You may not see what the flow is now.', steps: [], flowVersion: null },
    })
  expect((await plan(guest, narrow)).steps).toHaveLength(2)
  expect((await plan(owner, narrow, { newestVersion: true })).steps).toHaveLength(2)

  const [{ name }] = (await api.database.query<{ name: string }>('select current_database() as name')) as [{ name: string }]
  const superuser = await superuserOf(name)
  const [old] = await age(superuser, [decodeId('execution', narrow)!], 31)
  expect(await bulk(admin, 'retry', { flow }, { dryRun: true })).toMatchObject({ matched: 2 })
  await api.database.query(`select sluice.remove_finished('payloads', '00000000-0000-0000-0000-000000000000', 100)`)
  // many at once pass it by: what cannot be done is not in the way of what can
  expect(await bulk(admin, 'retry', { flow }, { dryRun: true })).toMatchObject({ matched: 1 })
  expect(await plan(admin, encodeId('execution', old!))).toMatchObject({
    possible: false,
    whyNot: expect.stringContaining('removed'),
  })
})

test('neither who started an execution nor who tries it again approves what it asks, nor what a child of it asks', async () => {
  const [owner, admin, third] = [await person(), await person('ADMIN'), await person()]
  const ask = { type: 'approval', roles: ['USER', 'ADMIN'], subject: 'Shall we?', quorum: 1 }
  await createFlow(owner, { ask })
  const flow = await createFlow(owner, {
    first: handler('first'),
    ask: { ...ask, after: ['first'] },
    child: { type: 'flow', flow: `control ${number}`, input: {}, after: ['first'] },
  })
  failing.add('first')
  const id = await start(owner, flow)
  failing.delete('first')
  const again = await retried(admin, id)
  const ASKED = `{ agentRequests(filter: { status: [OPEN] }) { edges { node { id canAnswer execution { id } approval { dataHash } } } } }`
  const asked = async (who: Principal) =>
    (await run(who, ASKED)).data.agentRequests.edges.map(({ node }: { node: unknown }) => node)
  await expect.poll(async () => (await asked(third)).length, { timeout: 5_000 }).toBe(2)
  const may = async (who: Principal) => (await asked(who)).map(({ canAnswer }: { canAnswer: boolean }) => canAnswer)
  expect([await may(owner), await may(admin), await may(third)]).toEqual([
    [false, false],
    [false, false],
    [true, true],
  ])
  // the engine counts no such vote either, whoever asks it to
  for (const { id: request, execution, approval } of await asked(admin)) {
    const vote = (who: { id: string }) =>
      engine.vote({
        ...{ requestId: decodeId('agentRequest', request)!, executionId: decodeId('execution', execution.id)!, by: who.id },
        ...{ dataHash: approval.dataHash, decision: 'APPROVE', data: null },
      })
    for (const who of [owner, admin]) expect(await vote(who)).toMatchObject({ problem: 'ILLEGAL_STATE' })
    expect(await vote(third)).toMatchObject({ replayed: false })
  }
  expect(await ended(admin, again)).toMatchObject({ status: 'SUCCEEDED' })
})

const WAITING = `query ($id: ID!) { execution(id: $id) { status reason
  waitingFor { kind message since until step by reason attempt error { code message } child { id status } ahead workers signals needed role
    agentRequest { id approval { approvers votes { decision } } } }
  steps { name waitingFor { kind attempt error { message } } } } }`
const why = async (who: Principal, id: string) => (await run(who, WAITING, { id })).data.execution
const control = async (who: Principal, verb: 'cancel' | 'pause' | 'resume', id: string, reason = 'because') =>
  (await run(who, `mutation { ${verb}Execution(input: { id: "${id}", reason: "${reason}" }) { __typename } }`)).data[
    `${verb}Execution`
  ].__typename

test('pausing an execution leaves its children alone; who paused it, since when and why is told', async () => {
  const owner = await person()
  await createFlow(owner, { paid: { type: 'signal', signals: ['paid'] } })
  const flow = await createFlow(owner, {
    sub: { type: 'flow', flow: `control ${number}`, input: {} },
    last: handler('last 2', { after: ['sub'] }),
  })
  const id = await start(owner, flow, {}, 0)
  await expect.poll(async () => (await why(owner, id)).waitingFor?.kind, { timeout: 5_000 }).toBe('CHILD')
  const { child, message } = (await why(owner, id)).waitingFor
  expect(message).toBe('sub waits for the end of the execution that it started.')
  await expect.poll(async () => (await why(owner, child.id)).waitingFor?.kind, { timeout: 5_000 }).toBe('SIGNAL')
  expect(await control(owner, 'pause', id, 'lunch')).toBe('PauseExecutionSuccess')
  const by = encodeId('user', owner.id)
  expect(await why(owner, id)).toMatchObject({
    ...{ status: 'PAUSED', reason: 'lunch' },
    waitingFor: {
      kind: 'PAUSED',
      by,
      reason: 'lunch',
      until: null,
      since: expect.any(String),
      message: `It was paused by ${by}: lunch`,
    },
  })
  expect(await why(owner, child.id)).toMatchObject({ status: 'WAITING' })
  await run(owner, `mutation { signalExecution(input: { id: "${child.id}", signal: "paid" }) { __typename } }`)
  expect(await ended(owner, child.id)).toMatchObject({ status: 'SUCCEEDED' })
  // it reads what its child says, and stays as it is
  await expect.poll(async () => (await why(owner, id)).status).toBe('PAUSED')
  expect(await control(owner, 'resume', id)).toBe('ResumeExecutionSuccess')
  expect(await ended(owner, id)).toMatchObject({ status: 'SUCCEEDED' })
})

test('why an execution does not move: retries with what failed, masked; who is asked; a worker that was lost, or is busy', async () => {
  const owner = await person()
  const secret = { input: { type: 'object', properties: { pin: { type: 'string', sensitive: true } } } }
  failing.add('pin 12345678')
  const again = handler('x', { retry: { attempts: 3, delay: 'PT60S' } })
  const flow = await createFlow(owner, { pay: { ...again, with: { name: 'pin ${{ input.pin }}' } } }, secret)
  const id = await start(owner, flow, { pin: '12345678' }, 0)
  await expect.poll(async () => (await why(owner, id)).waitingFor?.kind, { timeout: 5_000 }).toBe('RETRY')
  const retrying = await why(owner, id)
  expect(retrying.waitingFor).toMatchObject({
    ...{ attempt: 2, step: 'pay', error: { code: 'STEP_FAILED' }, until: expect.any(String) },
    message: 'pay waits for its attempt 2; the last one failed with STEP_FAILED.',
  })
  expect(retrying.steps[0].waitingFor).toMatchObject({ kind: 'RETRY', attempt: 2 })
  expect(JSON.stringify(retrying)).not.toContain('12345678')
  expect(retrying.waitingFor.error.message).toContain('does not work')

  const asking = await createFlow(owner, {
    ask: { type: 'approval', roles: ['ADMIN'], users: ['bob'], subject: 'Shall we?', quorum: 2 },
  })
  const asked = await start(owner, asking, {}, 0)
  await expect.poll(async () => (await why(owner, asked)).waitingFor?.kind, { timeout: 5_000 }).toBe('APPROVAL')
  expect((await why(owner, asked)).waitingFor).toMatchObject({
    ...{ needed: 2, message: 'ask waits for 2 more approvals.' },
    agentRequest: { approval: { approvers: ['bob', 'role:ADMIN'], votes: [] } },
  })

  const uuid = decodeId('execution', asked)!
  const row = await getExecution(api.call(owner), uuid)
  if (isProblem(row)) throw new Error(row.message)
  const ready = { ...row, status: 'PENDING' as const, wakeAt: null, inFlight: [] }
  expect(await readWaiting(api.call(owner), [ready])).toMatchObject([{ kind: 'WORKER', ahead: 0, workers: 1 }])
  const overdue = { ...row, inFlight: row.inFlight.map((entry) => ({ ...entry, dueAt: 1000 })) as typeof row.inFlight }
  expect(await readWaiting(api.call(owner), [overdue])).toMatchObject([{ kind: 'WORKER', since: new Date(1000) }])
  await api.database.query(`update sluice.executions set status = 'RUNNING', wake_at = null, owner = $2 where id = $1`, [
    uuid,
    owner.id,
  ])
  expect((await why(owner, asked)).waitingFor).toMatchObject({
    ...{ kind: 'WORKER', ahead: null, workers: 1, message: 'Its worker was lost; another one takes it over.' },
  })
})

test('who waits for a worker of a pool is told how many serve it; administrators see the workers themselves (A9)', async () => {
  const [owner, admin] = [await person(), await person('ADMIN')]
  const flow = await createFlow(owner, { render: handler('x', { pool: 'gpu' }) })
  const id = await start(owner, flow, {}, 0)
  const message = 'render waits for a worker of pool gpu; none is running.'
  await expect.poll(async () => (await why(owner, id)).waitingFor?.message, { timeout: 5_000 }).toBe(message)
  // its worker waits a moment for the other one
  await expect.poll(async () => (await why(owner, id)).status, { timeout: 5_000 }).toBe('WAITING')
  const waiting = await why(owner, id)
  expect(waiting).toMatchObject({ waitingFor: { kind: 'POOL', step: 'render', workers: 0, until: null } })
  expect(waiting.steps[0].waitingFor).toMatchObject({ kind: 'POOL' })

  const there = await start(owner, await createFlow(owner, { a: { type: 'transform', set: {} } }, { pool: 'gpu' }), {}, 0)
  await expect
    .poll(async () => (await why(owner, there)).waitingFor?.message, { timeout: 5_000 })
    .toBe('It waits for a worker of pool gpu; none is running.')

  const busy = `insert into sluice.workers (id, expires_at, pools, capacity, held, version)
    values ('01900000-0000-7000-8000-000000000001', now() + interval '1 minute', '{gpu}', 2, 2, '9.9.9')`
  await api.database.query(busy)
  expect((await why(owner, id)).waitingFor.message).toBe('render waits for a worker of pool gpu; 1 running, all full.')
  const { data } = await run(admin, `{ workers { id name pools held capacity alive programVersion startedAt leaseExpiresAt } }`)
  expect(data.workers).toHaveLength(2)
  expect(data.workers).toContainEqual(
    expect.objectContaining({ pools: ['gpu'], held: 2, capacity: 2, alive: true, programVersion: '9.9.9', name: 'gpu-00001' }),
  )
  expect(data.workers).toContainEqual(expect.objectContaining({ id: encodeId('worker', engine.workerId), pools: ['default'] }))
  await api.database.query(`delete from sluice.workers where version = '9.9.9'`)
  for (const one of [id, there]) expect(await control(owner, 'cancel', one)).toBe('CancelExecutionSuccess')
})

const BULK = (
  verb: string,
) => `mutation ($input: ${verb[0]!.toUpperCase()}${verb.slice(1)}ExecutionsInput!) { ${verb}Executions(input: $input) {
  __typename
  ... on ${verb[0]!.toUpperCase()}${verb.slice(1)}ExecutionsSuccess { matched done remaining refused { executionId code message } }
  ... on Problem { code message path } } }`
const bulk = async (who: Principal, verb: string, filter: object, more: object = {}) => {
  const { data } = await run(who, BULK(verb), { input: { filter, ...more } })
  return data?.[`${verb}Executions`]
}

test('many at once: counted first, then paused, resumed, canceled and tried again, of those that one may control (A10, A16)', async () => {
  const [owner, other] = [await person(), await person()]
  await createFlow(owner, { paid: { type: 'signal', signals: ['paid'] } })
  const flow = await createFlow(owner, { sub: { type: 'flow', flow: `control ${number}`, input: {} } })
  const ids = await Promise.all(Array.from({ length: 2 }, () => start(owner, flow, {}, 0)))
  const others = await start(other, flow, {}, 0)
  await expect
    .poll(async () => (await Promise.all(ids.map((id) => why(owner, id)))).every((one) => one.waitingFor?.kind === 'CHILD'), {
      timeout: 8_000,
    })
    .toBe(true)

  expect(await bulk(owner, 'pause', { flow }, { dryRun: true })).toMatchObject({ matched: 2, done: 0, remaining: 2 })
  // the children too, when nothing else says which ones: they go with their parents
  expect(await bulk(owner, 'pause', {}, { dryRun: true })).toMatchObject({ matched: 2 })
  expect(await bulk(owner, 'pause', { parent: ids[0] }, { dryRun: true })).toMatchObject({ matched: 1 })
  for (const key of ['evening', 'evening'])
    expect(
      await bulk(owner, 'pause', { flow }, { expectedCount: 9, reason: 'the till is closed', idempotencyKey: key }),
    ).toMatchObject({
      code: 'ILLEGAL_STATE',
      path: ['expectedCount'],
    })
  expect((await look(owner, ids[0]!)).status).not.toBe('PAUSED')

  const answer = await bulk(
    owner,
    'pause',
    { flow },
    { expectedCount: 2, reason: 'the till is closed', idempotencyKey: 'evening' },
  )
  expect(answer).toMatchObject({ matched: 2, done: 2, remaining: 0, refused: [] })
  expect(await look(owner, ids[1]!)).toMatchObject({ status: 'PAUSED', reason: 'the till is closed' })
  const late = await start(owner, flow, {}, 0)
  // with its key a call takes in nothing that came later
  expect(
    await bulk(owner, 'pause', { flow }, { expectedCount: 2, reason: 'the till is closed', idempotencyKey: 'evening' }),
  ).toMatchObject({ matched: 0, done: 0 })
  expect(await bulk(owner, 'pause', { flow }, { idempotencyKey: 'evening' })).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' })
  const told = await audited(owner.id)
  expect(told.find(({ type }) => type === 'executions.paused')).toMatchObject({
    metadata: { filter: { flow }, matched: 2, reason: 'the till is closed' },
  })
  expect(told.filter(({ type }) => type === 'execution.paused')).toHaveLength(2)

  // nor when there was nothing at all; and of two that come at once with one key both mean the same
  const empty = await createFlow(owner, { paid: { type: 'signal', signals: ['paid'] } })
  const once = { idempotencyKey: 'nothing yet' }
  expect(await bulk(owner, 'cancel', { flow: empty }, once)).toMatchObject({ matched: 0, done: 0 })
  await start(owner, empty, {}, 0)
  expect(await bulk(owner, 'cancel', { flow: empty }, once)).toMatchObject({ matched: 0, done: 0, remaining: 0 })
  const unknown = { flow: encodeId('flow', newUuid()) }
  expect(await bulk(owner, 'cancel', unknown, once)).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' })
  const claim = (reason: string) => claimBulk(api.call(owner), 'cancel', { filter: {}, reason, idempotencyKey: 'at once' })
  const [first, second] = await Promise.all([claim('a'), claim('a')])
  expect(first).toBe(second)
  expect(await claim('b')).toMatchObject({ problem: 'IDEMPOTENCY_MISMATCH' })

  expect(await bulk(owner, 'resume', { status: ['PAUSED'] })).toMatchObject({ matched: 2, done: 2, remaining: 0 })
  expect(await bulk(owner, 'cancel', { flow, label: { key: 'team', value: 'red' } }, { reason: 'closed' })).toMatchObject({
    matched: 3,
    done: 3,
    remaining: 0,
  })
  for (const id of [...ids, late]) expect(await ended(owner, id)).toMatchObject({ status: 'CANCELED', reason: 'closed' })
  expect((await look(other, others)).status).not.toBe('CANCELED')
  expect(await bulk(owner, 'cancel', { flow })).toMatchObject({ matched: 0, done: 0 })

  expect(await bulk(owner, 'retry', { flow, status: ['FAILED'] })).toMatchObject({ matched: 0 })
  const [one, two] = await Promise.all([bulk(owner, 'retry', { flow }), bulk(owner, 'retry', { flow })])
  expect(one.done + two.done).toBe(3)
  expect((await bulk(owner, 'retry', { flow })).matched).toBe(0)
  expect(await look(owner, ids[0]!)).toMatchObject({ status: 'CANCELED', retriedBy: { id: expect.any(String) } })
  await bulk(await person('ADMIN'), 'cancel', { flow })
  expect(await ended(other, others)).toMatchObject({ status: 'CANCELED' })
})

test('a limit stops what is tried again, and says how much is left; a viewer controls nothing (A8, B4)', async () => {
  const owner = await person()
  const flow = await createFlow(owner, { a: handler('a9'), b: { type: 'signal', signals: ['go'], after: ['a'] } })
  failing.add('a9')
  for (const some of [10, 5]) await Promise.all(Array.from({ length: some }, () => start(owner, flow)))
  failing.delete('a9')
  const first = await bulk(owner, 'retry', { flow })
  expect(first).toMatchObject({ matched: 15, done: 12, remaining: 3 })
  expect(first.refused.map(({ code }: { code: string }) => code)).toEqual(Array.from({ length: 3 }, () => 'LIMIT_REACHED'))
  await bulk(owner, 'cancel', { flow })
  await expect
    .poll(async () => (await bulk(owner, 'cancel', { flow, status: ['RUNNING', 'WAITING'] }, { dryRun: true })).matched)
    .toBe(0)
  expect(await bulk(owner, 'retry', { flow, status: ['FAILED'] })).toMatchObject({ matched: 3, done: 3, remaining: 0 })
  expect((await run(await person('VIEWER'), BULK('cancel'), { input: { filter: {} } })).codes).toEqual(['FORBIDDEN'])
})

test('what is refused for good is gone past: what comes after it is tried again too', async () => {
  const [owner, guest] = [await person(), await person()]
  const hidden = await createFlow(owner, { a: handler('a10') })
  failing.add('a10')
  for (let at = 0; at < 101; at += 10)
    await Promise.all(Array.from({ length: Math.min(10, 101 - at) }, () => start(guest, hidden)))
  const mine = await start(guest, await createFlow(guest, { a: handler('a10') }))
  failing.delete('a10')
  const hide = `mutation ($flowId: ID!) { updateFlow(input: { flowId: $flowId, visibility: PRIVATE, expectedVersion: 1 }) { __typename } }`
  expect((await run(owner, hide, { flowId: hidden })).data.updateFlow.__typename).toBe('UpdateFlowSuccess')
  const answer = await bulk(guest, 'retry', { initiator: encodeId('user', guest.id) })
  expect(answer).toMatchObject({ matched: 102, done: 1, remaining: 101 })
  expect(answer.refused.map(({ code }: { code: string }) => code)).toEqual(Array.from({ length: 101 }, () => 'FORBIDDEN'))
  expect((await look(guest, mine)).retriedBy).not.toBeNull()
})

const page = readFileSync(new URL('../../docs/control.md', import.meta.url), 'utf8')
function block(info: string): string {
  const found = page.split(`\`\`\`${info}\n`)[1]?.split('```')[0]
  if (found === undefined) throw new Error(`no block ${info}`)
  return found
}
/** `"..."` on the page stands for any text. */
const told = (info: string): unknown =>
  JSON.parse(block(info), (_key, value: unknown) => (value === '...' ? (expect.any(String) as unknown) : value))

test('the page on control tells the truth: its examples are run, in its order', async () => {
  const owner = await person()
  const ask = async (info: string, variables: object = {}) => {
    const { data, errors } = await run(owner, block(info), { ...variables })
    expect(errors, info).toEqual([])
    return Object.values(data as object)[0]
  }
  failing.add('charge_card')
  const { data } = await run(owner, CREATE, { definition: JSON.parse(block('json definition')) as object })
  const flow = as('CreateFlowSuccess', data.createFlow).flow.id
  const id = await start(owner, flow)
  expect(await ask('graphql plan', { id })).toEqual(told('json planned'))
  failing.delete('charge_card')
  const retrying = await ask('graphql retry', { id, key: 'retry 1' })
  expect(retrying).toMatchObject({ replayed: false, execution: { retryOf: { id } } })
  const again = { id: retrying.execution.id }
  expect(await ask('graphql retry', { id, key: 'retry 1' })).toMatchObject({ replayed: true, execution: again })
  await expect.poll(async () => (await ask('graphql waiting', again)).waitingFor?.kind, { timeout: 5_000 }).toBe('SIGNAL')
  expect((await ask('graphql waiting', again)).waitingFor).toEqual(told('json waits'))
  expect(await ask('graphql pause', again)).toEqual({ execution: { waitingFor: { kind: 'PAUSED', reason: 'stock-taking' } } })
  expect((await ask('graphql resume', again)).execution.status).not.toBe('PAUSED')
  expect(await ask('graphql cancel', again)).toEqual({ execution: { status: 'CANCELED', reason: 'ordered twice' } })
  await Promise.all([start(owner, flow, {}, 0), start(owner, flow, {}, 0)])
  const { matched } = await ask('graphql count', { flow })
  expect(matched).toBe(2)
  expect(await ask('graphql cancelAll', { flow, matched, key: 'closing' })).toEqual({
    matched,
    done: 2,
    remaining: 0,
    refused: [],
  })
})
