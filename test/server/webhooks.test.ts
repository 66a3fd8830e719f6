/** Webhooks: signed requests that start flows, from the door to the execution. */
import { expect, test } from 'vitest'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { decodeId } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { createReceiveWebhook } from '../../src/operations/triggers/receive-webhook.ts'
import { createStartByTrigger } from '../../src/operations/triggers/start-by-trigger.ts'
import { createDeliveryLoop } from '../../src/triggers/webhooks/delivery-loop.ts'
import { processDeliveries } from '../../src/triggers/webhooks/process-deliveries.ts'
import { signatureOf, TOLERANCE_MS } from '../../src/triggers/webhooks/signature.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { as, testApi } from '../harness/api.ts'
import { serve } from './test-server.ts'

const secretKeys = createSecretKeys('the key of this test')
const { person, run, engine, services, database, audited } = await testApi({ secretKeys })
const log = createLog('silent')
const bus = createLocalBus(log)
const start = createStartByTrigger(() => services)
const loop = createDeliveryLoop({ database, bus, start, log })
const receiveWebhook = createReceiveWebhook({ database, bus, keys: secretKeys, auditKeys, refusals: services.refusals })
let number = 0

const SECRET = 'whsec-6f1e4bd1-a-long-one'
const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
  __typename ... on CreateFlowSuccess { flow { id triggers { id webhookPath } } } ... on ValidationProblem { issues { code path } } } }`
const DELIVERIES = `query ($trigger: ID!) { webhookDeliveries(trigger: $trigger) { edges { node {
  id status attempts nextAttemptAt errorCode errorMessage replayOf { id } execution { id status output trigger { type name } } } } } }`
const REPLAY = `mutation ($input: ReplayWebhookDeliveryInput!) { replayWebhookDelivery(input: $input) {
  __typename ... on ReplayWebhookDeliverySuccess { replayed delivery { id status replayOf { id } } } ... on Problem { code } } }`

const definitionOf = (more: object = {}) => ({
  name: `hooked ${++number}`,
  input: { type: 'object', required: ['word'], properties: { word: { type: 'string' }, id: { type: 'string' } } },
  steps: { say: { type: 'transform', set: { word: '${{ input.word }}' } } },
  output: { word: '${{ steps.say.output.word }}' },
  triggers: [{ type: 'webhook', name: 'orders', secret: 'hook_secret', ...more }],
})

async function newOwner() {
  const owner = await person()
  await run(owner, `mutation { setSecret(input: { name: "hook_secret", value: "${SECRET}" }) { __typename } }`)
  return owner
}
async function newHook(owner: Principal, more: object = {}) {
  const { flow } = as('CreateFlowSuccess', (await run(owner, CREATE, { definition: definitionOf(more) })).data.createFlow)
  const [trigger] = flow.triggers
  return { flowId: flow.id as string, id: trigger.id as string, path: trigger.webhookPath as string }
}
const deliveriesOf = async (who: Principal, trigger: string) =>
  (await run(who, DELIVERIES, { trigger })).data.webhookDeliveries.edges.map(({ node }: { node: object }) => node)

async function door(requestsPerMinute = 10_000) {
  const { server } = await serve({ receiveWebhook, requestsPerMinute, createLimiter: createMemoryLimiter })
  return senderTo(server.url)
}
function senderTo(url: string) {
  return async (path: string, body: string, headers: Record<string, string> = {}) => {
    const signature = signatureOf(body, SECRET, database.clock.now())
    const response = await fetch(`${url}${path}`, {
      ...{ method: 'POST', body },
      headers: { 'content-type': 'application/json', 'sluice-signature': signature, ...headers },
    })
    return {
      status: response.status,
      body: (await response.json()) as { id: string; duplicate: boolean; errors?: { message: string }[] },
    }
  }
}

test('a signed request is stored before it is answered, and starts the flow once with what its template makes of it', async () => {
  const [owner, send] = [await newOwner(), await door()]
  const { id, path } = await newHook(owner, { input: { word: '${{ body.order.name }}', id: '${{ delivery.id }}' } })
  const sent = await send(path, '{"order": {"name": "b\u00fccher"}}')
  expect(sent).toEqual({ status: 202, body: { id: expect.stringMatching(/^delivery_/), duplicate: false } })
  expect(await deliveriesOf(owner, id)).toMatchObject([{ id: sent.body.id, status: 'RECEIVED', attempts: 0, execution: null }])
  await Promise.all([loop.runOnce(), loop.runOnce(), processDeliveries(database, start)])
  const [delivery] = await deliveriesOf(owner, id)
  await engine.ended(decodeId('execution', delivery.execution.id)!, 10_000)
  expect(await deliveriesOf(owner, id)).toMatchObject([
    {
      ...{ id: sent.body.id, status: 'STARTED', attempts: 1, nextAttemptAt: null, errorCode: null },
      execution: { status: 'SUCCEEDED', output: { word: 'b\u00fccher' }, trigger: { type: 'WEBHOOK', name: 'orders' } },
    },
  ])
  expect((await audited(owner.id)).filter(({ type }) => type === 'execution.started')).toMatchObject([
    { metadata: { trigger: { type: 'webhook', name: 'orders' } } },
  ])
})

test('the same delivery is taken once: by its key, and by its very signature under another key', async () => {
  const [owner, send] = [await newOwner(), await door()]
  const { id, path } = await newHook(owner)
  const first = await send(path, '{"word":"a"}', { 'idempotency-key': 'evt_1' })
  const again = await send(path, '{"word":"a"}', {
    ...{ 'webhook-id': 'evt_1', 'sluice-signature': signatureOf('{"word":"a"}', SECRET, database.clock.now() - 60_000) },
  })
  expect(again).toEqual({ status: 202, body: { id: first.body.id, duplicate: true } })
  const signature = signatureOf('{"word":"b"}', SECRET, database.clock.now())
  const captured = await Promise.all(
    ['1', '2', '3'].map((key) => send(path, '{"word":"b"}', { 'sluice-signature': signature, 'idempotency-key': key })),
  )
  expect(new Set(captured.map(({ body }) => body.id)).size).toBe(1)
  await loop.runOnce()
  expect((await deliveriesOf(owner, id)).map(({ status }: { status: string }) => status)).toEqual(['STARTED', 'STARTED'])
})

test('who signs wrongly, too early or too late, or for a webhook that is not there, gets one and the same answer (C1, B14)', async () => {
  const [owner, send] = [await newOwner(), await door()]
  const { flowId, path } = await newHook(owner)
  const body = '{"word":"a"}'
  const now = database.clock.now()
  const right = signatureOf(body, SECRET, now)
  const answers = [
    await send('/hooks/trigger_01jd0000000000000000000000', body),
    await send('/hooks/x', body),
    await send(path, body, { 'sluice-signature': signatureOf(body, 'another secret', now) }),
    await send(path, `${body} `, { 'sluice-signature': right }),
    await send(path, body, { 'sluice-signature': signatureOf(body, SECRET, now - TOLERANCE_MS - 60_000) }),
    await send(path, body, { 'sluice-signature': signatureOf(body, SECRET, now + TOLERANCE_MS + 60_000) }),
    await send(path, body, { 'sluice-signature': right.replace('v1=', 'v0=') }),
    await send(path, body, { 'sluice-signature': right.slice(0, -1) }),
    await send(path, body, { 'sluice-signature': '' }),
  ]
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]))
  expect(new Set(answers.map((answer) => answer.body.errors![0]!.message)).size).toBe(1)
  const old = `${right},v1=${'0'.repeat(64)}`
  expect((await send(path, body, { 'sluice-signature': old })).status).toBe(202)
  const refused = await database.query<{ code: string }>(
    `select error_code as code from sluice.audit_events where type = 'webhook.refused' order by id`,
  )
  expect(refused.map(({ code }) => code)).toEqual(['NOT_FOUND'])
  await database.query('update sluice.users set disabled_at = now() where id = $1', [owner.id])
  expect((await send(path, body)).status).toBe(404)
  expect(flowId).toMatch(/^flow_/)
})

test('what is not JSON, too large, of a page or not a POST is refused; whoever guesses signatures is soon left alone', async () => {
  const [owner, send] = [await newOwner(), await door(5)]
  const { path } = await newHook(owner)
  expect((await send(path, '{"word":')).status).toBe(400)
  expect((await send(path, 'a', { 'content-type': 'text/plain' })).status).toBe(415)
  expect((await send(path, JSON.stringify('x'.repeat(1_000_000)))).status).toBe(413)
  expect((await send(path, '{}', { origin: 'https://example.com' })).status).toBe(403)
  const guesses = []
  for (let i = 0; i < 7; i++) guesses.push((await send(path, '{}', { 'sluice-signature': 't=1,v1=2' })).status)
  expect(guesses).toEqual([404, 404, 404, 404, 404, 429, 429])
})

test('one wrong sender locks out nobody who signed rightly from the same address before, nor anybody with a token (B14)', async () => {
  const { server } = await serve({ receiveWebhook, requestsPerMinute: 5, createLimiter: createMemoryLimiter })
  const [owner, send] = [await newOwner(), senderTo(server.url)]
  const [known, other] = [await newHook(owner), await newHook(owner)]
  expect((await send(known.path, '{"word":"a"}')).status).toBe(202)
  for (let i = 0; i < 5; i++) await send('/hooks/x', '{}')
  expect((await send('/hooks/x', '{}')).status).toBe(429)
  expect((await send(other.path, '{"word":"a"}')).status).toBe(429)
  expect((await send(known.path, '{"word":"b"}')).status).toBe(202)
  expect((await send(known.path, '{}', { 'sluice-signature': 't=1,v1=2' })).status).toBe(404)
  expect((await send(known.path, '{"word":"c"}')).status).toBe(202)
  const asked = await fetch(`${server.url}/graphql`, {
    ...{ method: 'POST', body: '{"query":"{ __typename }"}' },
    headers: { 'content-type': 'application/json', authorization: 'Bearer wrong' },
  })
  expect(asked.status).toBe(401)
})

test('a delivery that cannot start says why; one that a limit holds up is tried again', async () => {
  const [owner, send] = [await newOwner(), await door()]
  const { id, path } = await newHook(owner, { input: { word: '${{ body.word }}' } })
  await send(path, '{"other":"a"}')
  await send(path, '{"word":5}')
  await loop.runOnce()
  expect(await deliveriesOf(owner, id)).toMatchObject([
    { status: 'REFUSED', errorCode: 'VALIDATION', errorMessage: expect.stringContaining('word') },
    { status: 'REFUSED', errorCode: 'EXPRESSION_FAILED' },
  ])
  await send(path, '{"word":"later"}')
  await processDeliveries(database, () =>
    Promise.resolve({ ok: false, code: 'LIMIT_REACHED', message: 'wait', retryAfterMs: 5_000 }),
  )
  const [held] = await deliveriesOf(owner, id)
  expect(held).toMatchObject({ status: 'RECEIVED', errorCode: 'LIMIT_REACHED', attempts: 1 })
  expect(Date.parse(held.nextAttemptAt) - database.clock.now()).toBeGreaterThan(2_000)
  // a process that took it and died: another takes it when its time is over
  await database.query(`update sluice.webhook_deliveries set due_at = now() where due_at is not null`)
  await processDeliveries(database, () => Promise.reject(new Error('killed')))
  expect((await deliveriesOf(owner, id))[0]).toMatchObject({ status: 'RECEIVED', attempts: 2 })
  await database.query(`update sluice.webhook_deliveries set due_at = now() where due_at is not null`)
  await loop.runOnce()
  expect((await deliveriesOf(owner, id))[0]).toMatchObject({ status: 'STARTED', attempts: 3, errorCode: null })
})

test('those who manage the flow see its deliveries and take them again; nobody else does', async () => {
  const [owner, stranger, send] = [await newOwner(), await person(), await door()]
  const { flowId, id, path } = await newHook(owner)
  const sent = await send(path, '{"word":"a"}')
  await loop.runOnce()
  expect(await deliveriesOf(stranger, id)).toEqual([])
  expect((await run(stranger, REPLAY, { input: { id: sent.body.id } })).data.replayWebhookDelivery).toEqual({
    ...{ __typename: 'NotFoundProblem', code: 'NOT_FOUND' },
  })
  const input = { id: sent.body.id, idempotencyKey: 'once' }
  const again = (await run(owner, REPLAY, { input })).data.replayWebhookDelivery
  expect(again).toMatchObject({ replayed: false, delivery: { status: 'RECEIVED', replayOf: { id: sent.body.id } } })
  expect((await run(owner, REPLAY, { input })).data.replayWebhookDelivery).toMatchObject({
    replayed: true,
    delivery: { id: again.delivery.id },
  })
  const mismatch = (await run(owner, REPLAY, { input: { ...input, id: again.delivery.id } })).data.replayWebhookDelivery
  expect(mismatch.code).toBe('IDEMPOTENCY_MISMATCH')
  await loop.runOnce()
  const both = await deliveriesOf(owner, id)
  expect(new Set(both.map(({ execution }: { execution: { id: string } }) => execution.id)).size).toBe(2)
  expect((await audited(owner.id)).filter(({ type }) => type === 'webhook.replayed')).toMatchObject([
    { flowId: decodeId('flow', flowId), metadata: { delivery: sent.body.id } },
  ])
})

test('only the owner of a flow publishes webhooks, with a secret of their own', async () => {
  const owner = await person()
  const { data } = await run(owner, CREATE, { definition: definitionOf() })
  expect(data.createFlow.issues).toEqual([{ code: 'UNKNOWN_SECRET', path: ['triggers', '0', 'secret'] }])
})
