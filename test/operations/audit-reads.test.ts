/** What an administrator reads by right of role is in the audit log before the answer: one row a request, and none for what is theirs. */
import { createSourceEventStream } from 'graphql'
import { expect, test } from 'vitest'
import type { FeedSource } from '../../src/api/feed.ts'
import { schema } from '../../src/api/schema.ts'
import { createAuditWriter } from '../../src/audit/audit-writer.ts'
import { auditEntry } from '../../src/audit/record-audit.ts'
import { decodeId } from '../../src/ids.ts'
import { auditReads } from '../../src/operations/audit/audit-reads.ts'
import { getExecution } from '../../src/operations/executions/get-execution.ts'
import { createLog } from '../../src/log.ts'
import { createFollower } from '../../src/server/follow.ts'
import { createPreparer } from '../../src/server/prepare.ts'
import type { Plan } from '../../src/server/prepare.ts'
import { testApi } from '../harness/api.ts'
import { Pulled } from '../harness/pulled-feeds.ts'

const api = await testApi()
const owner = await api.person()
const admin = await api.person('ADMIN')
type Person = typeof owner

const CREATE = `mutation ($d: JSON!, $v: FlowVisibility) {
  createFlow(input: { definition: $d, visibility: $v }) { ... on CreateFlowSuccess { flow { id } } } }`
const create = async (who: Person, name: string, visibility = 'PRIVATE'): Promise<string> => {
  const d = { name, steps: { copy: { type: 'transform', set: { text: '${{ input.text }}' } } }, output: { text: 'done' } }
  return (await api.run(who, CREATE, { d, v: visibility })).data.createFlow.flow.id
}
const START = `mutation ($flow: String!) {
  startExecution(input: { flow: $flow, input: { text: "a" }, waitMs: 5000 }) { ... on StartExecutionSuccess { execution { id } } } }`
const start = async (who: Person, flow: string): Promise<string> =>
  (await api.run(who, START, { flow })).data.startExecution.execution.id

const flow = await create(owner, 'ours')
const executions = [await start(owner, flow), await start(owner, flow), await start(owner, flow)]
const [first] = executions as [string]

/** The rows that `ask` adds to the administrator's. */
async function readsOf(ask: () => Promise<{ errors: readonly object[] } | void>, who = admin) {
  const before = (await api.audited(who.id)).length
  expect((await ask())?.errors ?? []).toEqual([])
  return (await api.audited(who.id)).slice(before).filter(({ type }) => type === 'admin.read')
}

test('a request that reads executions of others is one row that says how many, which, and what of them (C7)', async () => {
  const document = '{ executions(first: 3) { nodes: edges { node { id input output events { type } flow { name } } } } }'
  const rows = await readsOf(() => api.run(admin, document))
  expect(rows).toMatchObject([{ severity: 'NOTICE', success: true, executionId: null, flowId: decodeId('flow', flow) }])
  const { executions: count, flows, parts, named } = rows[0]!.metadata as Record<string, unknown>
  expect({ count, flows, parts }).toEqual({ count: 3, flows: 1, parts: ['events', 'input', 'output'] })
  expect((named as string[]).toSorted()).toEqual(executions.toSorted())
})

test('reading one execution names it, so that a search for it finds who looked (C7)', async () => {
  const rows = await readsOf(() => api.run(admin, 'query ($id: ID!) { execution(id: $id) { state } }', { id: first }))
  expect(rows).toMatchObject([{ executionId: decodeId('execution', first), ip: '192.0.2.1' }])
  expect(rows[0]!.metadata).toEqual({ executions: 1, parts: ['input', 'state'] })
})

test('flows, keys, users, their addresses, mails and the audit log itself are told too', async () => {
  const asked = {
    'flow(id: $id) { name }': { flows: 1 },
    'node(id: $id) { ... on Flow { versions: latestVersion { definition } } }': { flows: 1, flowVersions: 1 },
    'flow(id: $id) { grants { id } }': { flows: 1 },
    'users(first: 2) { edges { node { email } } }': { users: 1 },
    'outbox { to }': { mails: 0 },
    'auditEvents(first: 2) { edges { node { type } } }': { auditEvents: 2 },
    'auditVerification(first: 10) { intact }': { verifiedEvents: expect.any(Number) as number },
  }
  for (const [field, metadata] of Object.entries(asked)) {
    const document = field.includes('$id') ? `query ($id: ID!) { ${field} }` : `{ ${field} }`
    const rows = await readsOf(() => api.run(admin, document, { id: flow }))
    expect(rows, field).toHaveLength(1)
    expect(rows[0]!.metadata, field).toMatchObject(metadata)
  }
})

test('what an administrator would see without the role is no row, and nobody else leaves any', async () => {
  const mine = await start(admin, await create(admin, 'mine'))
  const open = await create(owner, 'open', 'PUBLIC')
  const ASK =
    'query ($e: ID!, $f: ID!) { execution(id: $e) { input steps { output } flow { name } } flow(id: $f) { name } viewer { id } }'
  expect(await readsOf(() => api.run(admin, ASK, { e: mine, f: open }))).toEqual([])
  expect(
    await readsOf(() => api.run(admin, '{ viewer { sessions { edges { node { id } } } } secrets { edges { node { name } } } }')),
  ).toEqual([])
  expect(await readsOf(() => api.run(owner, ASK, { e: first, f: flow }), owner)).toEqual([])
})

test('among what is theirs and what is not, only the latter is counted', async () => {
  const mine = await start(admin, await create(admin, 'also_mine'))
  const ids = [mine, first]
  const rows = await readsOf(() =>
    api.run(admin, 'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Execution { output } } }', { ids }),
  )
  expect(rows).toMatchObject([{ executionId: decodeId('execution', first), metadata: { executions: 1, parts: ['output'] } }])
})

test('opening a feed of an execution of others is one row, its frames are none (C7)', async () => {
  const rows = await readsOf(async () => {
    const call = api.call(admin)
    const text = `subscription { executionFeed(id: "${first}") { ... on FeedSnapshot { execution { output } } } }`
    const plan = createPreparer(schema, false)(text) as Plan
    const source = await createSourceEventStream({ schema, document: plan.document, contextValue: call })
    await auditReads(call)
    const follow = createFollower(schema, api.calls.makeFrameCall, createLog('silent'))
    const answer = follow({ source: source as FeedSource<unknown>, plan, variables: {}, visitor: call })
    for await (const frame of new Pulled<string>((sink) => answer.follow(sink))) expect(frame).toContain('"data"')
  })
  expect(rows).toMatchObject([{ executionId: decodeId('execution', first), metadata: { executions: 1, parts: ['feed'] } }])
})

test('what cannot be told is not shown', async () => {
  const call = api.call(admin)
  await getExecution(call, decodeId('execution', first)!)
  const silent = { ...call.services, writeAudit: () => Promise.reject(new Error('away')) }
  // the notes belong to this very call
  Object.defineProperty(call, 'services', { value: silent })
  await expect(auditReads(call)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('requests that come together are written together', async () => {
  const inserts: number[] = []
  const write = createAuditWriter({ fork: () => (inserts.push(1), api.database.fork()) })
  const before = (await api.audited(admin.id)).length
  await Promise.all(Array.from({ length: 200 }, () => write(auditEntry(api.call(admin), { type: 'admin.read' }))))
  expect((await api.audited(admin.id)).length - before).toBe(200)
  expect(inserts.length).toBeLessThan(10)
})
