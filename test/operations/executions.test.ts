/** Executions through their use cases: starting, seeing, controlling, answering, and who may. */
import { beforeAll, expect, test } from 'vitest'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import type { Flow } from '../../src/engine/entities/flow.ts'
import { isProblem } from '../../src/errors.ts'
import { encodeId, newUuid } from '../../src/ids.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { answerAgentRequest } from '../../src/operations/agent-requests/answer-agent-request.ts'
import { cancelExecution } from '../../src/operations/executions/cancel-execution.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { getExecution } from '../../src/operations/executions/get-execution.ts'
import { listAgentRequests } from '../../src/operations/agent-requests/list-agent-requests.ts'
import { pauseExecution } from '../../src/operations/executions/pause-execution.ts'
import { readEvents } from '../../src/operations/executions/read-events.ts'
import { readSteps } from '../../src/operations/executions/read-steps.ts'
import { resumeExecution } from '../../src/operations/executions/resume-execution.ts'
import { startExecution } from '../../src/operations/executions/start-execution.ts'
import type { StartExecution } from '../../src/operations/executions/start-execution.ts'
import { updateFlow } from '../../src/operations/flows/update-flow.ts'
import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'

const { database, call, person, audited, services } = await testApi({ runningPerInitiator: 100 })

let owner: Principal
let flow: Flow
const cheap = { feature_name: 'dark mode', estimated_cost: 10 }
const costly = { feature_name: 'moon base', estimated_cost: 2_000_000 }
const PAGE = { limit: 100, descending: true }

beforeAll(async () => {
  owner = await person()
  flow = unwrap(await createFlow(call(owner), { definition: featureApproval, visibility: 'PUBLIC' }))
})

const start = (who: Principal, more: Partial<StartExecution> = {}) =>
  startExecution(call(who), { flow: 'feature_approval', input: cheap, waitMs: 5000, ...more })
const started = async (who: Principal, more: Partial<StartExecution> = {}) => unwrap(await start(who, more)).executionId
const executionCount = async () => (await database.query<{ n: number }>('select count(*) as n from sluice.executions'))[0]!.n
const askOf = async (executionId: string) => (await listAgentRequests(call(owner), { executionId, status: ['OPEN'] }, PAGE))[0]!

test('a public flow can be started by a user, who is its initiator, and answers when it has ended (A3)', async () => {
  const me = await person()
  const { executionId, replayed } = unwrap(await start(me, { labels: [{ key: 'team', value: 'web' }], priority: 5 }))
  expect(replayed).toBe(false)
  const execution = unwrap(await getExecution(call(me), executionId))
  expect(execution).toMatchObject({
    status: 'SUCCEEDED',
    initiatorId: me.id,
    flowId: flow.id,
    labels: { team: 'web' },
    priority: 5,
  })
  expect((await audited(me.id)).map(({ type, executionId: id }) => [type, id])).toContainEqual(['execution.started', executionId])
})

test('an execution is seen by its initiator, the owner of its flow and administrators, and by nobody else (B4)', async () => {
  const me = await person()
  const id = await started(me)
  for (const somebody of [me, owner, await person('ADMIN')]) expect(unwrap(await getExecution(call(somebody), id)).id).toBe(id)
  for (const somebody of [await person(), await person('VIEWER')]) {
    expect(await getExecution(call(somebody), id)).toEqual(await getExecution(call(somebody), newUuid()))
  }
})

test('a viewer starts nothing, and the try is audited (B4, A7)', async () => {
  const viewer = await person('VIEWER')
  const before = await executionCount()
  await expect(start(viewer)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  expect(await audited(viewer.id)).toMatchObject([{ type: 'execution.startRefused', flowId: flow.id, success: false }])
  await expect(startExecution(call(), { flow: 'feature_approval', input: cheap })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
  })
  expect(await executionCount()).toBe(before)
})

test('a flow that is not there, or not mine to see, is not found; its id works as its name does', async () => {
  const [me, you] = [await person(), await person()]
  const hidden = unwrap(await createFlow(call(you), { definition: { ...featureApproval, name: 'hidden' } }))
  const notFound = await start(me, { flow: 'nothing' })
  expect(notFound).toMatchObject({ problem: 'NOT_FOUND', path: ['flow'] })
  expect(await start(me, { flow: encodeId('flow', hidden.id) })).toEqual(notFound)
  expect(isProblem(await start(me, { flow: encodeId('flow', flow.id) }))).toBe(false)
})

test('an input is an object, of at most 1,000,000 bytes, that fits the schema; else nothing is started (A4, D5)', async () => {
  const me = await person()
  const before = await executionCount()
  for (const input of [null, [], 'text', 7]) {
    expect(await start(me, { input })).toMatchObject({
      problem: 'VALIDATION',
      issues: [{ code: 'INVALID_TYPE', path: ['input'] }],
    })
  }
  const frame = Buffer.byteLength(JSON.stringify({ ...cheap, description: '' }))
  const tooLarge = await start(me, { input: { ...cheap, description: 'x'.repeat(1_000_001 - frame) } })
  expect(tooLarge).toMatchObject({ problem: 'STATE_TOO_LARGE', path: ['input'] })
  expect(isProblem(tooLarge) && tooLarge.message).toMatch(/1000001.*1000000/)
  const misfit = await start(me, { input: { estimated_cost: 'much', surprise: 1 } })
  expect(misfit).toMatchObject({ problem: 'VALIDATION' })
  expect(isProblem(misfit) && misfit.issues!.map(({ path }) => path[0])).toEqual(['input', 'input', 'input'])
  expect(await start(me, { input: { ...cheap, feature_name: 'a\0b' } })).toMatchObject({
    problem: 'VALIDATION',
    issues: [{ code: 'UNSTORABLE' }],
  })
  expect(await executionCount()).toBe(before)
})

test('an input of exactly 1,000,000 bytes is started (A4)', async () => {
  const me = await person()
  unwrap(await createFlow(call(me), { definition: { name: 'roomy', steps: { one: { type: 'wait', duration: 'PT30S' } } } }))
  const frame = Buffer.byteLength(JSON.stringify({ text: '' }))
  const id = await started(me, { flow: 'roomy', input: { text: 'x'.repeat(1_000_000 - frame) }, waitMs: 0 })
  expect(unwrap(await getExecution(call(me), id)).stateBytes).toBe(1_000_000)
  unwrap(await cancelExecution(call(me), { id }))
})

test('everything wrong with the other arguments is told at once', async () => {
  const me = await person()
  const labels = [
    { key: 'a', value: 'b' },
    { key: 'a', value: 'line\nbreak' },
    { key: '', value: 'x'.repeat(256) },
  ]
  const refused = await start(me, { labels, priority: 101, waitMs: 30_001, idempotencyKey: '' })
  expect(isProblem(refused) && refused.issues!.map(({ path }) => path.join('.')).toSorted()).toEqual(
    ['idempotencyKey', 'labels.1.key', 'labels.1.value', 'labels.2.key', 'labels.2.value', 'priority', 'waitMs'].toSorted(),
  )
  const many = Array.from({ length: 21 }, (_, at) => ({ key: `k${at}`, value: 'v' }))
  expect(await start(me, { labels: many })).toMatchObject({ problem: 'VALIDATION', issues: [{ path: ['labels'] }] })
})

test('100 simultaneous starts with one idempotency key are one execution and 100 equal answers (E1, E2)', async () => {
  const me = await person()
  const before = await executionCount()
  const results = await Promise.all(Array.from({ length: 100 }, () => start(me, { idempotencyKey: 'once', waitMs: 0 })))
  const answers = results.map(unwrap)
  expect(new Set(answers.map(({ executionId }) => executionId)).size).toBe(1)
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
  expect(await executionCount()).toBe(before + 1)
  expect((await audited(me.id)).filter(({ type }) => type === 'execution.started')).toHaveLength(1)
})

test('a key means its input: the order of its fields does not matter, another value does (E2)', async () => {
  const me = await person()
  const id = await started(me, { idempotencyKey: 'k', input: { feature_name: 'x', estimated_cost: 1 } })
  const again = await start(me, { idempotencyKey: 'k', input: { estimated_cost: 1, feature_name: 'x' } })
  expect(again).toEqual({ executionId: id, replayed: true })
  const other = await start(me, { idempotencyKey: 'k', input: { feature_name: 'x', estimated_cost: 2 } })
  expect(other).toMatchObject({ problem: 'IDEMPOTENCY_MISMATCH', path: ['idempotencyKey'] })
  expect(await start(me, { idempotencyKey: 'k', input: { feature_name: 'x', estimated_cost: 1 }, priority: 1 })).toMatchObject({
    problem: 'IDEMPOTENCY_MISMATCH',
  })
  expect(await started(owner, { idempotencyKey: 'k' })).not.toBe(id)
})

test('the 101st running execution of an initiator is refused with when to come back, and the refusal is audited (A8)', async () => {
  const me = await person()
  const more = { input: costly, waitMs: 0 }
  const running = (await Promise.all(Array.from({ length: 100 }, () => start(me, more)))).map(unwrap)
  const refused = await start(me, more)
  expect(refused).toMatchObject({ problem: 'LIMIT_REACHED' })
  expect(isProblem(refused) && refused.retryAfterMs).toBeGreaterThan(0)
  expect((await audited(me.id)).at(-1)).toMatchObject({
    type: 'execution.startRefused',
    errorCode: 'LIMIT_REACHED',
    success: false,
  })
  unwrap(await cancelExecution(call(me), { id: running[0]!.executionId }))
  await services.engine.ended(running[0]!.executionId, 5000)
  expect(isProblem(await start(me, more))).toBe(false)
})

test('a costly feature waits for the ceo; the owner of the flow answers, and nobody else may (A15)', async () => {
  const [me, stranger] = [await person(), await person()]
  const id = await started(me, { input: costly, waitMs: 0 })
  const ask = await askOf(id)
  expect(ask).toMatchObject({ role: 'ceo', kind: 'REQUEST', status: 'OPEN', path: 'ask_ceo' })
  const answer = { id: ask.id, decision: 'APPROVE' as const, data: { comment: 'go' }, idempotencyKey: 'answer-1' }

  expect(await answerAgentRequest(call(stranger), answer)).toMatchObject({ problem: 'NOT_FOUND' })
  await expect(answerAgentRequest(call(me), answer)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  expect((await audited(me.id)).at(-1)).toMatchObject({
    type: 'agentRequest.answerRefused',
    executionId: id,
    errorCode: 'FORBIDDEN',
  })
  expect(await askOf(id)).toMatchObject({ status: 'OPEN', version: 1 })

  const answered = unwrap(await answerAgentRequest(call(owner), answer))
  expect(answered).toMatchObject({
    replayed: false,
    agentRequest: { status: 'ANSWERED', decision: 'APPROVE', answeredBy: owner.id },
  })
  await services.engine.ended(id, 5000)
  expect(unwrap(await getExecution(call(me), id)).status).toBe('SUCCEEDED')
  expect((await audited(owner.id)).at(-1)).toMatchObject({
    type: 'agentRequest.answered',
    executionId: id,
    metadata: { decision: 'APPROVE' },
  })

  expect(unwrap(await answerAgentRequest(call(owner), answer)).replayed).toBe(true)
  expect(await answerAgentRequest(call(owner), { ...answer, decision: 'REJECT' })).toMatchObject({
    problem: 'IDEMPOTENCY_MISMATCH',
  })
  expect(await answerAgentRequest(call(owner), { id: ask.id, decision: 'REJECT' })).toMatchObject({ problem: 'ILLEGAL_STATE' })
})

test('an answer that cannot be stored is refused, and the request stays open', async () => {
  const id = await started(await person(), { input: costly, waitMs: 0 })
  const ask = await askOf(id)
  const answer = (data: unknown) => answerAgentRequest(call(owner), { id: ask.id, decision: 'ANSWER', data })
  expect(await answer('x'.repeat(1_000_001))).toMatchObject({ problem: 'STATE_TOO_LARGE', path: ['data'] })
  expect(await answer('\ud800')).toMatchObject({ problem: 'VALIDATION', issues: [{ code: 'UNSTORABLE', path: ['data'] }] })
  expect(await askOf(id)).toMatchObject({ status: 'OPEN' })
})

test('a notice wants no answer', async () => {
  const id = await started(await person())
  const [notice] = await listAgentRequests(call(owner), { executionId: id }, PAGE)
  expect(notice).toMatchObject({ kind: 'NOTICE', status: 'DELIVERED' })
  expect(await answerAgentRequest(call(owner), { id: notice!.id, decision: 'ANSWER' })).toMatchObject({
    problem: 'ILLEGAL_STATE',
  })
})

test('its initiator cancels an execution with a reason; the owner of the flow may only look (A10, B4)', async () => {
  const me = await person()
  const id = await started(me, { input: costly, waitMs: 0 })
  await expect(cancelExecution(call(owner), { id })).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(cancelExecution(call(await person('ADMIN')), { id: newUuid() })).resolves.toMatchObject({ problem: 'NOT_FOUND' })
  unwrap(await cancelExecution(call(me), { id, reason: 'changed my mind' }))
  await services.engine.ended(id, 5000)
  expect(unwrap(await getExecution(call(me), id))).toMatchObject({ status: 'CANCELED', reason: 'changed my mind' })
  expect((await listAgentRequests(call(owner), { executionId: id }, PAGE)).map(({ status }) => status)).toEqual(['CANCELED'])
  expect(await cancelExecution(call(me), { id })).toMatchObject({ problem: 'ILLEGAL_STATE' })
  expect((await audited(me.id)).map(({ type }) => type)).toContain('execution.cancelRequested')
})

test('a paused execution goes on when it is resumed; both tell why (A16)', async () => {
  const me = await person()
  const id = await started(me, { input: costly, waitMs: 0 })
  expect(unwrap(await pauseExecution(call(me), { id, reason: 'audit' }))).toMatchObject({
    status: 'PAUSED',
    pauseReason: 'audit',
  })
  expect(await pauseExecution(call(me), { id, reason: 'x'.repeat(501) })).toMatchObject({
    problem: 'VALIDATION',
    issues: [{ path: ['reason'] }],
  })
  expect(unwrap(await resumeExecution(call(me), { id })).status).not.toBe('PAUSED')
  expect(await resumeExecution(call(me), { id })).toMatchObject({ problem: 'ILLEGAL_STATE' })
  unwrap(await cancelExecution(call(me), { id }))
})

test('an execution stays visible to its initiator when its flow becomes private (B4)', async () => {
  const [me, you] = [await person(), await person()]
  const mine = unwrap(await createFlow(call(you), { definition: { ...featureApproval, name: 'closing' }, visibility: 'PUBLIC' }))
  const id = await started(me, { flow: 'closing' })
  unwrap(await updateFlow(call(you), { flowId: mine.id, expectedVersion: 1, visibility: 'PRIVATE' }))
  expect(unwrap(await getExecution(call(me), id)).id).toBe(id)
  expect(await start(me, { flow: 'closing' })).toMatchObject({ problem: 'NOT_FOUND' })
})

test('the steps of its definition are all there, whatever has happened to them (A13)', async () => {
  const me = await person()
  const id = await started(me, { input: costly, waitMs: 0 })
  const waiting = unwrap(await getExecution(call(me), id))
  const [before] = await readSteps(call(me), [waiting])
  expect(Object.fromEntries(before!.map(({ name, status }) => [name, status]))).toEqual({
    analyze: 'SUCCEEDED',
    risk: 'SUCCEEDED',
    ask_ceo: 'WAITING',
    ask_cto: 'SKIPPED',
    auto: 'SKIPPED',
    tell: 'PENDING',
  })
  unwrap(await answerAgentRequest(call(owner), { id: (await askOf(id)).id, decision: 'REJECT' }))
  await services.engine.ended(id, 5000)
  const [after] = await readSteps(call(me), [unwrap(await getExecution(call(me), id))])
  expect(after!.map(({ name }) => name)).toEqual(before!.map(({ name }) => name))
  expect(after!.filter(({ status }) => status === 'SUCCEEDED').map(({ name }) => name)).toEqual([
    'analyze',
    'risk',
    'ask_ceo',
    'tell',
  ])
})

test('events are read in pieces, for many executions in one statement', async () => {
  const me = await person()
  const [one, two] = [await started(me), await started(me)]
  const [whole, tail, nothing] = await readEvents(call(me), [
    { executionId: one, after: 0, first: 500 },
    { executionId: two, after: 2, first: 3 },
    { executionId: newUuid(), after: 0, first: 10 },
  ])
  expect(whole!.map(({ seq }) => seq)).toEqual(whole!.map((_, at) => at + 1))
  expect(whole![0]!.type).toBe('execution.started')
  expect(whole!.at(-1)!.type).toBe('execution.succeeded')
  expect(tail!.map(({ seq }) => seq)).toEqual([3, 4, 5])
  expect(nothing).toEqual([])
})
