/** Lists stay cheap beside many rows of others, with no statistics. */
import { beforeAll, expect, test, vi } from 'vitest'
import { encodeId, newUuid } from '../../src/ids.ts'
import type { AgentPrincipal, Scope } from '../../src/identity/principal.ts'
import { agentRequestChanges, executionChanges } from '../../src/live/change-log.ts'
import type { Changes } from '../../src/live/change-log.ts'
import { changedAgentRequests } from '../../src/operations/agent-requests/follow-agent-requests.ts'
import { createChangedExecutions } from '../../src/operations/executions/follow-executions.ts'
import type { ChangedExecutions } from '../../src/operations/executions/follow-executions.ts'
import { listAgentRequests } from '../../src/operations/agent-requests/list-agent-requests.ts'
import { listExecutions } from '../../src/operations/executions/list-executions.ts'
import { listFlows } from '../../src/operations/flows/list-flows.ts'
import { testApi } from '../harness/api.ts'
import { recordStatements } from '../harness/record-statements.ts'
import type { Statement } from '../harness/record-statements.ts'

const { database, ownerQuery, services, call, person } = await testApi()
const [me, other, admin] = [await person(), await person(), await person('ADMIN')]
let myFlow: string
const agent: AgentPrincipal = {
  ...{ kind: 'AGENT', id: newUuid(), ownerId: admin.id, role: 'VIEWER', agentRoles: ['ceo'], expiresAt: Number.MAX_SAFE_INTEGER },
  ...{ actsAs: newUuid(), scopes: new Set<Scope>(['REQUESTS_READ', 'FLOWS_READ']) },
}
const shared = await person()
const voter = await person()
const page = { limit: 21, descending: true }

beforeAll(async () => {
  await ownerQuery(FLOWS, [other.id, 5_000])
  await ownerQuery(FLOWS, [me.id, 20])
  await ownerQuery(EXECUTIONS, [other.id, 60_000, 5_000])
  await ownerQuery(EXECUTIONS, [me.id, 40, 20])
  await ownerQuery(AGENT_REQUESTS)
  await ownerQuery(APPROVALS, [other.id])
  await ownerQuery(APPROVERS)
  await ownerQuery(VOTES, [voter.id])
  await ownerQuery(GRANTS, [other.id, `user:${shared.id}`, shared.id, 4])
  await ownerQuery(GRANTS, [other.id, 'agent:ceo', null, 2])
  const [flow] = await ownerQuery<{ id: string }>('select flow_id as id from sluice.executions where initiator_id = $1', [me.id])
  myFlow = encodeId('flow', flow!.id)
})

const FLOWS = `
  insert into sluice.flows (id, owner_id, name, visibility)
  select gen_random_uuid(), $1, 'flow ' || n, case when n % 10 = 0 then 'PUBLIC' else 'PRIVATE' end from generate_series(1, $2::integer) n`
const EXECUTIONS = `
  insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, created_at,
    started_at, ended_at)
  select (lpad(to_hex(1700000000000 + n), 12, '0') || '7000' || substr(md5($1 || n::text), 1, 16))::uuid, f.id, f.id, $1::uuid,
    case when n % 1000 = 0 then 'PAUSED' else 'SUCCEEDED' end, now(), 10, 1, now(), now(), case when n % 1000 = 0 then null else now() end
  from generate_series(1, $2::integer) n
  join (select id, row_number() over () as number from sluice.flows where owner_id = $1::uuid) f on f.number = 1 + n % $3::integer`
/** On 5 of the 5,000 flows. */
const GRANTS = `
  insert into sluice.flow_grants (id, flow_id, grantee, user_id, level, granted_by)
  select gen_random_uuid(), id, $2, $3::uuid, $4::smallint, $1::uuid from sluice.flows
  where owner_id = $1::uuid and name in ('flow 1', 'flow 2', 'flow 3', 'flow 4', 'flow 5')`
const AGENT_REQUESTS = `
  insert into sluice.agent_requests (id, execution_id, flow_id, initiator_id, path, attempt, kind, role, subject, body, status, created_at)
  select id, id, flow_id, initiator_id, 'ask', 1, 'REQUEST', 'ceo', 'subject', '{}',
    case when status = 'PAUSED' then 'OPEN' else 'EXPIRED' end, created_at from sluice.executions`
/** One in a thousand is open, of those on public flows and of the others. */
const APPROVALS = `
  insert into sluice.agent_requests (id, execution_id, flow_id, initiator_id, path, attempt, kind, role, subject, body, status, created_at)
  select (substr(e.id::text, 1, 15) || '8' || substr(e.id::text, 17))::uuid, e.id, e.flow_id, e.initiator_id, 'ask', 1, 'APPROVAL', '',
    'subject', '{}', case when row_number() over (partition by f.visibility order by e.id) % 1000 = 0 then 'OPEN' else 'EXPIRED' end,
    e.created_at
  from (select * from sluice.executions where initiator_id = $1 order by id limit 20000) e join sluice.flows f on f.id = e.flow_id`
const APPROVERS = `
  insert into sluice.approvers (request_id, approver, is_open)
  select id, 'role:USER', status = 'OPEN' from sluice.agent_requests where kind = 'APPROVAL'`
const VOTES = `
  insert into sluice.votes (request_id, voter_id, voted_for, decision, data_hash, at)
  select r.id, $1::uuid, $1::uuid, 'APPROVE', 'hash', now() from sluice.agent_requests r join sluice.flows f on f.id = r.flow_id
  where r.kind = 'APPROVAL' and r.status = 'EXPIRED' and f.visibility = 'PUBLIC' limit 30`

test.each([
  ['my executions', 21, () => listExecutions(call(me), {}, page)],
  ['my failed executions', 0, () => listExecutions(call(me), { status: ['FAILED'] }, page)],
  ['executions of one flow of mine', 2, () => listExecutions(call(me), { flow: myFlow }, page)],
  ['all executions', 21, () => listExecutions(call(admin), {}, page)],
  ['all paused and failed executions', 21, () => listExecutions(call(admin), { status: ['PAUSED', 'FAILED'] }, page)],
  ['all executions of an initiator', 21, () => listExecutions(call(admin), { initiatorId: me.id }, page)],
  [
    'executions before there were any',
    0,
    () => listExecutions(call(admin), { createdBefore: new Date(1_600_000_000_000) }, page),
  ],
  ['agent requests of my executions', 21, () => listAgentRequests(call(me), {}, page)],
  ['open agent requests of mine, and what everybody is asked', 2, () => listAgentRequests(call(me), { status: ['OPEN'] }, page)],
  ['open agent requests of a role', 21, () => listAgentRequests(call(admin), { role: 'ceo', status: ['OPEN'] }, page)],
  ['flows and public flows that are shared with me', 21, () => listFlows(call(shared), {}, page)],
  ['executions of flows that I manage', 21, () => listExecutions(call(shared), {}, page)],
  ['flows that an agent may see', 5, () => listFlows(call(agent), {}, page)],
  ['what an agent is asked', 21, () => listAgentRequests(call(agent), {}, page)],
  ['what I voted on', 21, () => listAgentRequests(call(voter), {}, page)],
  ['flows that I can see', 21, () => listFlows(call(me), {}, page)],
])('%s are read without reading those of others', async (_what, length, list: () => Promise<unknown[]>) => {
  const { result, statements } = await recordStatements(list)
  expect(result).toHaveLength(length)
  // and what is marked as sensitive, for all at once
  const [, ...masks] = statements
  expect(masks.every(({ text }) => /flow_version_id as version|mayMark/.test(text))).toBe(true)
  expect(masks.length).toBeLessThanOrEqual(2)
  // the tables have some 2,500 and 1,000 pages; of what everybody is asked, it is asked whether the caller may be
  expect(await buffersOf(statements[0]!)).toBeLessThan(800)
})

async function buffersOf({ text, values }: Statement): Promise<number> {
  const plan = await database.query<Record<string, [{ Plan: Record<string, number> }]>>(
    `explain (analyze, buffers, format json) ${text}`,
    values,
  )
  const { Plan } = Object.values(plan[0]!)[0]![0]
  return Plan['Shared Hit Blocks']! + Plan['Shared Read Blocks']!
}

const some = async (table: string, whose: string): Promise<string[]> => {
  const rows = await ownerQuery<{ id: string }>(
    `select id from sluice.${table} where initiator_id = $1 order by md5(id::text) limit 40`,
    [whose],
  )
  return rows.map(({ id }) => id)
}

test.each([
  ['executions', () => me, 40],
  ['executions', () => shared, 0],
  ['agent_requests', () => me, 40],
  ['agent_requests', () => agent, 0],
] as const)('of %s that changed, a feed reads these alone', async (table, who, found) => {
  const ids = [...(await some(table, me.id)), ...(await some(table, other.id))]
  const changed = createChangedExecutions(services)
  const { result, statements } = await recordStatements<unknown>(() =>
    table === 'executions' ? changed(who(), {}, ids) : changedAgentRequests(services, who(), {}, ids),
  )
  const pieces = result as { executions?: unknown[]; requests?: unknown[] }[]
  expect(pieces.flatMap(({ executions, requests = executions }) => requests!).length).toBeGreaterThanOrEqual(found)
  expect(await buffersOf(statements[0]!)).toBeLessThan(800)
})

test('wall screens that look at one time take two statements, however many, and each shows what its viewer may see (B4)', async () => {
  const [mine, others] = [await some('executions', me.id), await some('executions', other.id)]
  const ids = [...mine, ...others]
  const changed = createChangedExecutions(services)
  const viewers = Array.from({ length: 100 }, (_, at) => [me, other, admin, agent][at % 4]!)
  const wanted = { status: [], initiatorId: me.id }
  const { result, statements } = await recordStatements(() =>
    Promise.all(viewers.flatMap((viewer) => [changed(viewer, {}, ids), changed(viewer, wanted, ids)])),
  )
  expect(statements).toHaveLength(2)
  expect(await buffersOf(statements[0]!)).toBeLessThan(100 * 800)
  const shown = result.map((pieces) =>
    (pieces as ChangedExecutions[]).flatMap(({ executions }) => executions.map(({ id }) => id)),
  )
  const left = result.map((pieces) => (pieces as ChangedExecutions[]).flatMap(({ left }) => left))
  const sees = new Map<unknown, string[]>([
    [me, mine],
    [other, others],
    [admin, ids],
    [agent, []],
  ])
  for (const [at, viewer] of viewers.entries()) {
    const all = sees.get(viewer)!.toSorted()
    expect([shown[2 * at], left[2 * at]]).toEqual([all, []])
    expect([shown[2 * at + 1], left[2 * at + 1]]).toEqual([[], all.filter((id) => mine.includes(id))])
  }
})

test('what changed is found in the order of commits, without reading what changed before', async () => {
  await ownerQuery(
    `insert into sluice.commit_log (xid, ids) select (3 + n % 500)::text::xid8, array[gen_random_uuid()] from generate_series(1, 20000) n`,
  )
  for (const [changes, change] of [
    [executionChanges, 'insert into sluice.commit_log (ids) values (array[gen_random_uuid()])'],
    [
      agentRequestChanges,
      `update sluice.agent_requests set changed_xid = pg_current_xact_id() where status = 'OPEN' and id in (
      select id from sluice.agent_requests where status = 'OPEN' limit 3)`,
    ],
  ] as const) {
    const after = await changes(database).end()
    await ownerQuery(change)
    // transactions of other tests on the same server may hold it up for a moment
    await vi.waitFor(async () => expect(((await changes(database).read(after)) as Changes).ids.length).toBeGreaterThan(0), 9_000)
    const { result, statements } = await recordStatements(() => changes(database).read(after))
    expect((result as Changes).ids.length).toBeGreaterThan(0)
    expect(await buffersOf(statements[0]!)).toBeLessThan(150)
  }
})
