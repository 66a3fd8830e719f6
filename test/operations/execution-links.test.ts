/** Capability links: one execution, to read or to answer, as far as whoever made them may. */
import { beforeAll, expect, test } from 'vitest'
import type { Principal, UserPrincipal } from '../../src/identity/principal.ts'
import { answerAgentRequest } from '../../src/operations/agent-requests/answer-agent-request.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import { createExecutionLink } from '../../src/operations/executions/create-execution-link.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { getExecution } from '../../src/operations/executions/get-execution.ts'
import { grantFlowAccess } from '../../src/operations/flows/grant-flow-access.ts'
import { listAgentRequests } from '../../src/operations/agent-requests/list-agent-requests.ts'
import { listExecutionLinks } from '../../src/operations/executions/list-execution-links.ts'
import { listExecutions } from '../../src/operations/executions/list-executions.ts'
import { readFlowGrants } from '../../src/operations/flows/read-flow-access.ts'
import { revokeApiKey } from '../../src/operations/people/revoke-api-key.ts'
import { revokeExecutionLink } from '../../src/operations/executions/revoke-execution-link.ts'
import { revokeFlowAccess } from '../../src/operations/flows/revoke-flow-access.ts'
import { startExecution } from '../../src/operations/executions/start-execution.ts'
import { encodeId, newUuid } from '../../src/ids.ts'
import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'

const { database, services, feeds, call, person, audited, run } = await testApi()
const PAGE = { limit: 100, descending: true }
let owner: UserPrincipal
let flowId: string

beforeAll(async () => {
  owner = await person()
  const steps = { ask: { type: 'agent', role: 'ceo', subject: 'May we?', request: {} } }
  flowId = unwrap(await createFlow(call(owner), { definition: { name: 'asking', steps } })).id
})

const start = async () => unwrap(await startExecution(call(owner), { flow: 'asking', input: {} })).executionId
const make = async (executionId: string, may: 'READ' | 'ANSWER', by: Principal = owner) =>
  unwrap(await createExecutionLink(call(by), { executionId, may }))
async function holder(token: string): Promise<Principal> {
  const checked = await services.identity.authenticate(token)
  if (!checked.ok) throw new Error(checked.reason)
  return checked.principal
}
const askOf = async (executionId: string) => (await listAgentRequests(call(owner), { executionId }, PAGE))[0]!

test('a link is shown once and stored as a hash; it reads its execution, and nothing else (B4)', async () => {
  const [id, other] = [await start(), await start()]
  const { link, token } = await make(id, 'READ')
  expect(token).toMatch(/^sll_[\w-]{43}$/)
  const rows = await database.query<{ row: string }>('select l::text as row from sluice.execution_links l')
  expect(JSON.stringify(rows)).not.toContain(token.slice(4))
  const me = await holder(token)
  expect(unwrap(await getExecution(call(me), id)).id).toBe(id)
  expect((await listExecutions(call(me), {}, PAGE)).map((execution) => execution.id)).toEqual([id])
  expect(await getExecution(call(me), other)).toEqual(await getExecution(call(me), newUuid()))
  const { data } = await run(
    me,
    `{ execution(id: "${encodeId('execution', id)}") { status steps { name } events { type } flow { id } initiator { name } } }`,
  )
  expect(data.execution).toMatchObject({ status: 'WAITING', flow: null, initiator: null, steps: [{ name: 'ask' }] })
  await expect(answerAgentRequest(call(me), { id: (await askOf(id)).id, decision: 'APPROVE' })).rejects.toMatchObject({
    code: 'FORBIDDEN',
  })
  const log = JSON.stringify(await audited(owner.id))
  expect(log).toContain(encodeId('executionLink', link.id))
  expect(log).not.toContain(token)
})

test('a link to answer shows what is asked and takes the answer, and shows nothing else (B4)', async () => {
  const [id, other] = [await start(), await start()]
  const me = await holder((await make(id, 'ANSWER')).token)
  expect(await getExecution(call(me), id)).toMatchObject({ problem: 'NOT_FOUND' })
  expect((await listAgentRequests(call(me), {}, PAGE)).map(({ executionId }) => executionId)).toEqual([id])
  const foreign = await answerAgentRequest(call(me), { id: (await askOf(other)).id, decision: 'APPROVE' })
  expect(foreign).toEqual(await answerAgentRequest(call(me), { id: newUuid(), decision: 'APPROVE' }))
  const answered = unwrap(await answerAgentRequest(call(me), { id: (await askOf(id)).id, decision: 'REJECT' }))
  expect(answered.agentRequest).toMatchObject({ status: 'ANSWERED', decision: 'REJECT', answeredBy: owner.id })
  expect((await audited(me.id)).at(-1)).toMatchObject({ type: 'agentRequest.answered', actorKind: 'LINK', executionId: id })
})

test('whoever may not see or answer makes no link; a link can do no more than its maker, also later (B4, C2)', async () => {
  const [stranger, manager] = [await person(), await person()]
  const id = await start()
  const missing = await createExecutionLink(call(stranger), { executionId: newUuid(), may: 'READ' })
  expect(await createExecutionLink(call(stranger), { executionId: id, may: 'READ' })).toEqual(missing)
  unwrap(await grantFlowAccess(call(owner), { flowId, grants: [{ to: { user: manager.handle }, action: 'MANAGE' }] }))
  const { token } = await make(id, 'ANSWER', manager)
  const me = await holder(token)
  const ask = { id: (await askOf(id)).id, decision: 'APPROVE' as const }
  const [grants] = await readFlowGrants(call(owner), [flowId])
  unwrap(await revokeFlowAccess(call(owner), { flowId, grantIds: grants!.map((grant) => grant.id) }))
  expect(await answerAgentRequest(call(me), ask)).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await askOf(id)).toMatchObject({ status: 'OPEN' })
})

test('a link of somebody else, and one to another execution, is not there for whoever would end or list it (B4)', async () => {
  const [id, stranger] = [await start(), await person()]
  const { link, token } = await make(id, 'READ')
  expect(await revokeExecutionLink(call(stranger), { id: link.id })).toEqual(
    await revokeExecutionLink(call(stranger), { id: newUuid() }),
  )
  expect(await listExecutionLinks(call(stranger), id, PAGE)).toEqual([])
  expect(await listExecutionLinks(call(owner), await start(), PAGE)).toEqual([])
  expect((await listExecutionLinks(call(owner), id, PAGE)).map((row) => row.id)).toEqual([link.id])
  await holder(token)
  unwrap(await revokeExecutionLink(call(owner), { id: link.id }))
  expect(await services.identity.authenticate(token)).toMatchObject({ ok: false, reason: 'REVOKED' })
})

test('a link that is over says so', async () => {
  const { link, token } = await make(await start(), 'READ')
  await database.query('update sluice.execution_links set expires_at = now() where id = $1', [link.id])
  expect(await services.identity.authenticate(token)).toEqual({ ok: false, reason: 'EXPIRED' })
})

test('revoking a link or a key, and un-sharing, closes the feeds that stand on it within a second (B9, B11)', async () => {
  const id = await start()
  const { link, token } = await make(id, 'READ')
  const { apiKey, secret } = unwrap(await createApiKey(call(owner), { name: 'watcher', scopes: ['EXECUTIONS_READ'] }))
  const manager = await person()
  unwrap(await grantFlowAccess(call(owner), { flowId, grants: [{ to: { user: manager.handle }, action: 'MANAGE' }] }))
  /** Opens a feed and takes its snapshot; what comes next, and when. */
  const follow = async (principal: Principal) => {
    const feed = await feeds.openExecutionFeed({ principal, executionId: id })
    expect((await feed.next()).value).toMatchObject({ kind: 'snapshot' })
    return { closed: feed.next().then(({ value }) => ({ value, at: performance.now() })) }
  }
  const watched = await Promise.all([follow(await holder(token)), follow(await holder(secret)), follow(manager)])
  const [grants] = await readFlowGrants(call(owner), [flowId])
  const revokedAt = performance.now()
  unwrap(await revokeExecutionLink(call(owner), { id: link.id }))
  unwrap(await revokeApiKey(call(owner), { id: apiKey.id }))
  unwrap(await revokeFlowAccess(call(owner), { flowId, grantIds: grants!.map((grant) => grant.id) }))
  for (const closed of await Promise.all(watched.map((feed) => feed.closed))) {
    expect(closed.value).toMatchObject({ kind: 'closed', reason: 'ACCESS_REVOKED' })
    expect(closed.at - revokedAt).toBeLessThan(1_000)
  }
})
