/** Feeds of many things: what matches and may be seen, as it is now; nothing that is committed late is passed by. */
import { readFile } from 'node:fs/promises'
import { beforeAll, expect, test } from 'vitest'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { EXECUTIONS_TOPIC } from '../../src/engine/engine.ts'
import { findKeys } from '../../src/identity/api-keys.ts'
import type { AgentPrincipal, Principal, Role, Scope, UserPrincipal } from '../../src/identity/principal.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { encodeChangeCursor, decodeChangeCursor } from '../../src/live/change-cursor.ts'
import { executionChanges } from '../../src/live/change-log.ts'
import { changesTopics } from '../../src/live/changes-topic.ts'
import { answerAgentRequest } from '../../src/operations/agent-requests/answer-agent-request.ts'
import { cancelExecution } from '../../src/operations/executions/cancel-execution.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { updateUser } from '../../src/operations/people/edit-user.ts'
import { grantFlowAccess } from '../../src/operations/flows/grant-flow-access.ts'
import type { Grantee } from '../../src/operations/flows/grant-flow-access.ts'
import { revokeFlowAccess } from '../../src/operations/flows/revoke-flow-access.ts'
import { startExecution } from '../../src/operations/executions/start-execution.ts'
import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'
import type { Pulled } from '../harness/pulled-feeds.ts'
import { subscriber } from '../harness/subscribed.ts'

const PACE_MS = 50
const api = await testApi({ feedPaceMs: PACE_MS })
const { call, person, database, ownerQuery, bus, written } = api
const subscribe = subscriber(api)

const EXECUTIONS = `subscription ($filter: ExecutionFilter, $after: String) { executionsFeed(filter: $filter, after: $after) {
  kind: __typename ... on FeedFrame { cursor } ... on ExecutionsSnapshot { executions { id status } }
  ... on ExecutionsDelta { executions { id status } left } ... on FeedGap { reason } ... on FeedClosed { reason } } }`
const REQUESTS = `subscription ($role: String, $after: String) { agentRequestsFeed(role: $role, after: $after) {
  kind: __typename ... on FeedFrame { cursor } ... on AgentRequestsSnapshot { hasMore requests { id status canAnswer } }
  ... on AgentRequestsDelta { requests { id status canAnswer version } } ... on FeedGap { reason } ... on FeedClosed { reason } } }`

// a test reads what it asked for
// oxlint-disable-next-line no-explicit-any
type Frame = any

let owner: UserPrincipal
let flowId: string
beforeAll(async () => {
  owner = await person()
  flowId = unwrap(await createFlow(call(owner), { definition: featureApproval, visibility: 'PRIVATE' })).id
})

async function start(by: Principal = owner, cost = 2_000_000): Promise<string> {
  const input = { feature_name: 'moon base', estimated_cost: cost }
  const flow = encodeId('flow', flowId)
  const { executionId } = unwrap(await startExecution(call(by), { flow, input, waitMs: cost > 1_000_000 ? 0 : 5_000 }))
  return encodeId('execution', executionId)
}
async function next(feed: Pulled<string>): Promise<Frame> {
  const { value } = await feed.next()
  const { data, errors } = JSON.parse(value!)
  if (errors) throw new Error(JSON.stringify(errors))
  return data.executionsFeed ?? data.agentRequestsFeed
}
/** Frames until one holds. */
async function until(feed: Pulled<string>, holds: (frame: Frame) => boolean): Promise<Frame[]> {
  const frames = [await next(feed)]
  while (!holds(frames.at(-1))) frames.push(await next(feed))
  return frames
}
const shows = (id: string, status?: string) => (frame: Frame) =>
  frame.executions?.some((one: Frame) => one.id === id && (status === undefined || one.status === status))
const idsIn = (frames: Frame[]): string[] => frames.flatMap(({ executions = [] }) => executions.map(({ id }: Frame) => id))

test('a feed of executions is what there is, the newest first, then what changes, as far as one may see it (B4)', async () => {
  const [first, second] = [await start(), await start()]
  const [stranger, admin, friend] = [await person(), await person('ADMIN'), await person()]
  unwrap(await grantFlowAccess(call(owner), { flowId, grants: [{ to: { user: friend.handle }, action: 'MANAGE' }] }))
  const open = (who: Principal) => subscribe(who, EXECUTIONS)
  const feeds = { owner: await open(owner), admin: await open(admin), friend: await open(friend), stranger: await open(stranger) }
  for (const feed of [feeds.owner, feeds.admin, feeds.friend]) {
    expect(idsIn([await next(feed)]).slice(0, 2)).toEqual([second, first])
  }
  expect(await next(feeds.stranger)).toMatchObject({ kind: 'ExecutionsSnapshot', executions: [] })
  const third = await start()
  for (const feed of [feeds.owner, feeds.admin, feeds.friend]) await until(feed, shows(third, 'WAITING'))
  // the stranger's own comes, and nothing of the others' came before it
  const its = unwrap(
    await createFlow(call(stranger), { definition: { ...featureApproval, name: 'its_own' }, visibility: 'PRIVATE' }),
  )
  const started = await startExecution(call(stranger), {
    flow: encodeId('flow', its.id),
    input: { feature_name: 'x', estimated_cost: 1 },
  })
  const own = encodeId('execution', unwrap(started).executionId)
  const frames = await until(feeds.stranger, shows(own, 'SUCCEEDED'))
  expect(new Set(idsIn(frames))).toEqual(new Set([own]))
  expect(frames.every(({ left = [] }) => left.length === 0)).toBe(true)
  for (const feed of Object.values(feeds)) await feed.return()
  expect(written.groups).toBe(0)
})

test('what is of another status now has left, by its id alone', async () => {
  const feed = await subscribe(owner, EXECUTIONS, { filter: { status: ['WAITING'], flow: 'feature_approval' } })
  const { executions } = await next(feed)
  expect(new Set(executions.map(({ status }: Frame) => status))).toEqual(new Set(['WAITING']))
  const id = await start()
  await until(feed, shows(id, 'WAITING'))
  unwrap(await cancelExecution(call(owner), { id: decodeId('execution', id)!, reason: 'enough' }))
  const frames = await until(feed, ({ left }) => left?.includes(id))
  expect(idsIn(frames)).not.toContain(id)
  await feed.return()
})

test('a filter that nothing can match is a feed on nothing, and a cursor goes on with any filter', async () => {
  const nothing = await subscribe(owner, EXECUTIONS, { filter: { flow: 'there is none' } })
  const { cursor, executions } = await next(nothing)
  expect(executions).toEqual([])
  const [one, two] = [await start(), await start()]
  const feed = await subscribe(owner, EXECUTIONS, { after: cursor, filter: { status: ['WAITING'] } })
  const seen = new Set<string>()
  while (!seen.has(one) || !seen.has(two)) for (const id of idsIn([await next(feed)])) seen.add(id)
  await nothing.return()
  await feed.return()
})

test('what commits late comes late, and is passed by nobody', async () => {
  const feed = await subscribe(owner, EXECUTIONS)
  const { cursor } = await next(feed)
  await feed.return()
  const [begun, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const late = decodeId('execution', await start())!
  // a commit of another process: it has its number before the next one, and is not seen before it ends
  const slow = database.transaction(async (em) => {
    await em.execute(`insert into sluice.commit_log (ids) values (array['${late}'::uuid])`)
    begun.resolve()
    await held.promise
  })
  await begun.promise
  const early = await start()
  const resumed = await subscribe(owner, EXECUTIONS, { after: cursor })
  const coming = until(resumed, shows(early))
  held.resolve()
  await slow
  const seen = idsIn(await coming)
  // the log says where: not before the slow one had its end
  const again = await subscribe(owner, EXECUTIONS, { after: cursor })
  expect(idsIn(await until(again, shows(early)))).toEqual(expect.arrayContaining([encodeId('execution', late), early]))
  expect(seen).toContain(early)
  await resumed.return()
  await again.return()
})

test('wherever it is cut off, what whoever resumes has put together is how everything is', async () => {
  const feed = await subscribe(owner, EXECUTIONS)
  const frames = [await next(feed)]
  const ids: string[] = []
  for (let round = 0; round < 3; round++) {
    const id = await start(owner, 1)
    ids.push(id)
    frames.push(...(await until(feed, shows(id, 'SUCCEEDED'))))
  }
  await feed.return()
  const resumed = await Promise.all(frames.map(({ cursor }) => subscribe(owner, EXECUTIONS, { after: cursor })))
  const last = await start(owner, 1)
  for (const [place, rest] of resumed.entries()) {
    const known = new Map<string, string>()
    for (const { kind, executions } of [...frames.slice(0, place + 1), ...(await until(rest, shows(last, 'SUCCEEDED')))]) {
      if (kind === 'ExecutionsSnapshot') known.clear()
      for (const { id, status } of executions) known.set(id, status)
    }
    expect([...ids, last].map((id) => known.get(id))).toEqual(['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED'])
    await rest.return()
  }
})

test('whose cursor is of another database, ahead of this one or too old is told so, and goes on with a snapshot', async () => {
  const feed = await subscribe(owner, EXECUTIONS)
  const { cursor } = await next(feed)
  await feed.return()
  const { epoch, xid } = decodeChangeCursor(cursor)
  const strange = encodeChangeCursor({ epoch: '0123456789ab', xid })
  const ahead = encodeChangeCursor({ epoch, xid: String(BigInt(xid) + 1_000_000n) })
  const old = encodeChangeCursor({ epoch, xid: '3' })
  for (const [after, reason] of [
    [strange, 'RESTORED'],
    [ahead, 'RESTORED'],
    [old, 'RETENTION'],
  ]) {
    const resumed = await subscribe(owner, EXECUTIONS, { after })
    // cut off behind the gap, it would get both again
    expect(await next(resumed)).toMatchObject({ kind: 'FeedGap', reason, cursor: after })
    expect(await next(resumed)).toMatchObject({ kind: 'ExecutionsSnapshot' })
    const id = await start()
    await until(resumed, shows(id))
    await resumed.return()
  }
  for (const after of ['', 'x', Buffer.from('1:0123456789ab:05').toString('base64url')]) {
    await expect(subscribe(owner, EXECUTIONS, { after })).rejects.toMatchObject({ extensions: { code: 'BAD_CURSOR' } })
    await expect(subscribe(owner, REQUESTS, { after })).rejects.toMatchObject({ extensions: { code: 'BAD_CURSOR' } })
  }
})

test('whoever is closed before the snapshot came resumes with one, also beside somebody who resumed', async () => {
  const id = await start()
  for (const document of [EXECUTIONS, REQUESTS]) {
    const first = await subscribe(owner, document)
    const { kind, cursor } = await next(first)
    await first.return()
    const other = await subscribe(owner, document, { after: cursor })
    const waiting = await subscribe({ ...owner, expiresAt: 0 }, document)
    void written.sweep()
    const closed = await next(waiting)
    expect(closed).toMatchObject({ kind: 'FeedClosed', reason: 'TOKEN_EXPIRED' })
    const resumed = await subscribe(owner, document, { after: closed.cursor })
    const shown = await next(resumed)
    expect(shown.kind).toBe(kind)
    if (document === EXECUTIONS) expect(idsIn([shown])).toContain(id)
    await Promise.all([other, waiting, resumed].map((feed) => feed.return()))
  }
})

test('what was forgotten an hour after its commit is a gap; what came since is told', async () => {
  const feed = await subscribe(owner, EXECUTIONS)
  const { cursor } = await next(feed)
  await feed.return()
  await start(owner, 1)
  await ownerQuery(`update sluice.commit_log set at = now() - interval '2 hours'`)
  const kept = await subscribe(owner, EXECUTIONS)
  const { cursor: newest } = await next(kept)
  await kept.return()
  // what a restore may have brought from a database that had counted further is in nobody's way, and goes
  const beyond = `select count(*)::int as rows from sluice.commit_log where xid >= pg_snapshot_xmax(pg_current_snapshot())`
  await ownerQuery(`insert into sluice.commit_log (xid, ids) values ('999999999999', '{}')`)
  await start(owner, 1)
  expect(await ownerQuery(beyond)).toEqual([{ rows: 1 }])
  await ownerQuery('select sluice.trim_commit_log(10000)')
  expect(await ownerQuery(beyond)).toEqual([{ rows: 0 }])
  const tooOld = await subscribe(owner, EXECUTIONS, { after: cursor })
  expect(await next(tooOld)).toMatchObject({ kind: 'FeedGap', reason: 'RETENTION' })
  const good = await subscribe(owner, EXECUTIONS, { after: newest })
  const id = await start(owner, 1)
  const frames = await until(good, shows(id, 'SUCCEEDED'))
  expect(new Set(frames.map(({ kind }) => kind))).toEqual(new Set(['ExecutionsDelta']))
  await tooOld.return()
  await good.return()
})

/** Many of them, as if somebody had committed them at once. */
async function commitMany(count: number): Promise<void> {
  const made = `
    with made as (
      insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, created_at, started_at)
      select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7000' || substr(md5(random()::text), 1, 16))::uuid,
        '${flowId}', '${flowId}', '${owner.id}', 'PAUSED', now(), 2, 1, now(), now() from generate_series(1, ${count}) returning id)
    insert into sluice.commit_log (ids) select array_agg(id) from made`
  await ownerQuery(made)
  bus.ring(EXECUTIONS_TOPIC)
}

test('however many change at once, frames are bounded', async () => {
  const filter = { status: ['PAUSED'] }
  const feed = await subscribe(owner, EXECUTIONS, { filter })
  const first = await next(feed)
  await commitMany(220)
  const frames: Frame[] = []
  while (idsIn(frames).length < 220) frames.push(await next(feed))
  expect(frames.map(({ executions }) => executions.length)).toEqual([100, 100, 20])
  // cut off between them, all of them come again
  for (const { cursor } of frames.slice(0, -1)) expect(cursor).toBe(first.cursor)
  await commitMany(501)
  expect(await next(feed)).toMatchObject({ kind: 'FeedGap', reason: 'TOO_MANY_CHANGES' })
  expect((await next(feed)).executions).toHaveLength(100)
  await feed.return()
})

test('what changes faster than a wall screen is to blink is told once, as it is then', async () => {
  const feed = await subscribe(owner, EXECUTIONS, { filter: { initiator: encodeId('user', owner.id) } })
  await next(feed)
  const began = performance.now()
  let last = ''
  for (let count = 0; count < 40; count++) last = await start(owner, 1)
  const frames = await until(feed, shows(last, 'SUCCEEDED'))
  expect(frames.length).toBeLessThanOrEqual(2 + (performance.now() - began) / PACE_MS)
  await feed.return()
})

/** As a program of theirs comes in. */
async function keyOf(who: UserPrincipal, role: Role = 'ADMIN'): Promise<Principal> {
  const { secret } = unwrap(await createApiKey(call(who), { name: 'a key', scopes: ['EXECUTIONS_READ'], role }))
  const checked = await api.services.identity.authenticate(secret)
  if (!checked.ok) throw new Error(checked.reason)
  return checked.principal
}

test('whoever loses access hears of nothing that happens afterwards; a role that is taken away takes its sight with it (B4, B11)', async () => {
  const [friend, chief] = [await person(), await person('ADMIN')]
  const key = await keyOf(chief)
  unwrap(await grantFlowAccess(call(owner), { flowId, grants: [{ to: { user: friend.handle }, action: 'MANAGE' }] }))
  const feeds = [await subscribe(friend, EXECUTIONS), await subscribe(key, EXECUTIONS)]
  for (const feed of feeds) await next(feed)
  const seen = await start()
  for (const feed of feeds) await until(feed, shows(seen))
  const grants = await ownerQuery<{ id: string }>('select id from sluice.flow_grants where user_id = $1', [friend.id])
  unwrap(await revokeFlowAccess(call(owner), { flowId, grantIds: grants.map(({ id }) => id) }))
  unwrap(await updateUser(call(await person('ADMIN')), { id: chief.id, role: 'USER', expectedVersion: 1 }))
  // what they see no more goes at once: a snapshot has what is left
  for (const feed of feeds) {
    const [left] = (await until(feed, ({ kind }) => kind === 'ExecutionsSnapshot')).slice(-1)
    expect(left.executions).toEqual([])
  }
  const unseen = await start()
  for (const [index, feed] of feeds.entries()) {
    // something of their own, to see that the feed goes on
    const who = [friend, { ...chief, role: 'USER' as const }][index]!
    const its = unwrap(await createFlow(call(who), { definition: featureApproval, visibility: 'PRIVATE' }))
    const input = { feature_name: 'x', estimated_cost: 1 }
    const { executionId } = unwrap(await startExecution(call(who), { flow: encodeId('flow', its.id), input }))
    const frames = await until(feed, shows(encodeId('execution', executionId), 'SUCCEEDED'))
    expect(idsIn(frames)).not.toContain(unseen)
    expect(frames.flatMap(({ left = [] }) => left)).not.toContain(unseen)
    await feed.return()
  }
})

test('a change of rights begins the walls anew of those whom it concerns, once, and of nobody else (B4)', async () => {
  const [friend, viewer, stranger] = [await person(), await person('VIEWER'), await person()]
  const key = await keyOf(friend, 'USER')
  const feeds = await Promise.all([friend, key, viewer, stranger].map((who) => subscribe(who, EXECUTIONS)))
  const snapshots = feeds.map(() => 0)
  /** Until nothing more comes: all that was told has been looked at. */
  const read = async () => {
    for (let poll = 0; poll < 2; poll += 1) await api.services.identity.authChanges.runOnce()
    await written.sweep()
    for (const [at, feed] of feeds.entries()) {
      while (feed.congested()) if ((await next(feed)).kind === 'ExecutionsSnapshot') snapshots[at]! += 1
    }
  }
  const told = (count: number[]) => expect.poll(async () => (await read(), snapshots)).toEqual(count)
  await told([1, 1, 1, 1])
  const its = unwrap(await createFlow(call(owner), { definition: { ...featureApproval, name: 'walls' }, visibility: 'PRIVATE' }))
  const share = (to: Grantee) => grantFlowAccess(call(owner), { flowId: its.id, grants: [{ to, action: 'MANAGE' }] })
  unwrap(await share({ user: friend.handle }))
  await told([2, 2, 1, 1])
  unwrap(await share({ role: 'VIEWER' }))
  await told([2, 2, 2, 1])
  unwrap(await share({ everyone: true }))
  await told([3, 3, 3, 2])
  await read()
  expect(snapshots).toEqual([3, 3, 3, 2])
  for (const feed of feeds) await feed.return()
})

/** With a key that is stored: whoever follows is looked up again when rights change. */
async function agentOf(role: string): Promise<AgentPrincipal> {
  const key = { name: role, scopes: ['REQUESTS_READ', 'REQUESTS_ANSWER'] as const, agentRoles: [role] }
  const { id } = unwrap(await createApiKey(call(await person('ADMIN')), key)).apiKey
  return (await findKeys(database, { ids: [id] }, new Set([role]))).get(id) as AgentPrincipal
}

test('the inbox of a role: what is open, what is asked next, and what has been answered; of other roles nothing (A14)', async () => {
  unwrap(
    await grantFlowAccess(call(owner), {
      flowId,
      grants: ['ceo', 'cto'].map((agentRole) => ({ to: { agentRole }, action: 'EXECUTE' as const })),
    }),
  )
  const [ceo, cto] = [await agentOf('ceo'), await agentOf('cto')]
  const [inbox, other] = [await subscribe(ceo, REQUESTS, { role: 'ceo' }), await subscribe(cto, REQUESTS)]
  const { requests: open, cursor } = await next(inbox)
  expect(open.every(({ status }: Frame) => status === 'OPEN')).toBe(true)
  expect((await next(other)).requests).toEqual([])
  await start()
  const asked = (await next(inbox)).requests.at(-1)
  expect(asked).toMatchObject({ status: 'OPEN', canAnswer: true })
  const id = decodeId('agentRequest', asked.id)!
  unwrap(await answerAgentRequest(call(ceo), { id, decision: 'APPROVE', data: null }))
  expect((await next(inbox)).requests).toMatchObject([{ id: asked.id, status: 'ANSWERED', canAnswer: false }])
  // resumed elsewhere, the last state of it comes
  const resumed = await subscribe(ceo, REQUESTS, { after: cursor })
  const [last] = (await until(resumed, ({ requests }) => requests?.some((one: Frame) => one.id === asked.id))).slice(-1)
  expect(last.requests.find((one: Frame) => one.id === asked.id)).toMatchObject({ status: 'ANSWERED' })
  // the flow tells the product manager and others at its end; the cto is asked nothing
  const complex = { feature_name: 'x', estimated_cost: 1, complexity: 9 }
  unwrap(await startExecution(call(owner), { flow: encodeId('flow', flowId), input: complex, waitMs: 0 }))
  expect((await next(other)).requests).toMatchObject([{ status: 'OPEN' }])
  for (const feed of [inbox, other, resumed]) await feed.return()
  await expect(subscribe({ ...ceo, scopes: new Set<Scope>(['FLOWS_READ']) }, REQUESTS)).rejects.toMatchObject({
    extensions: { code: 'FORBIDDEN' },
  })
})

test('rights that change take nothing from whoever is behind: a snapshot, then what it had not been told yet (A14)', async () => {
  const grants = [{ to: { agentRole: 'product_manager' }, action: 'EXECUTE' as const }]
  unwrap(await grantFlowAccess(call(owner), { flowId, grants }))
  const inbox = await subscribe(await agentOf('product_manager'), REQUESTS)
  expect(await next(inbox)).toMatchObject({ kind: 'AgentRequestsSnapshot' })
  await start(owner, 1)
  await expect.poll(() => inbox.congested()).toBe(true)
  await start(owner, 1)
  const told = await ownerQuery<{ id: string }>(
    `select id from sluice.agent_requests where kind = 'NOTICE' and role = 'product_manager' order by id desc limit 1`,
  )
  const other = unwrap(
    await createFlow(call(owner), { definition: { ...featureApproval, name: 'another' }, visibility: 'PRIVATE' }),
  )
  unwrap(await grantFlowAccess(call(owner), { flowId: other.id, grants }))
  const last = encodeId('agentRequest', told[0]!.id)
  const frames = await until(inbox, ({ requests }) => requests?.some(({ id }: Frame) => id === last))
  expect(frames.map(({ kind }) => kind)).toEqual(['AgentRequestsDelta', 'AgentRequestsSnapshot', 'AgentRequestsDelta'])
  await inbox.return()
})

test('snapshots that everybody wants at once leave connections to others', async () => {
  let [atOnce, most] = [0, 0]
  const topicOf = changesTopics({
    ...{ name: 'walls', bell: EXECUTIONS_TOPIC, log: executionChanges(database), mayFollow: () => true, paceMs: 0 },
    sight: {
      async show() {
        most = Math.max(most, (atOnce += 1))
        await database.query('select 1')
        atOnce -= 1
        return {}
      },
      changed: async () => [],
    },
  })
  const walls = Array.from({ length: 20 }, (_, wall) => topicOf(wall, owner).read(undefined, { conflate: true }))
  for (const page of await Promise.all(walls)) expect(page!.frames).toMatchObject([{ kind: 'snapshot' }])
  expect(most).toBe(4)
})

test('votes and what is handed to somebody come into the inboxes of those who are concerned', async () => {
  const [boss, deputy] = [await person(), await person()]
  const steps = { ask: { type: 'approval', subject: 'Buy it', data: {}, users: [boss.handle] } }
  const made = unwrap(await createFlow(call(owner), { definition: { name: 'buy', steps }, visibility: 'PUBLIC' }))
  const [inbox, hers] = [await subscribe(boss, REQUESTS), await subscribe(deputy, REQUESTS)]
  expect([(await next(inbox)).requests, (await next(hers)).requests]).toEqual([[], []])
  unwrap(await startExecution(call(owner), { flow: encodeId('flow', made.id), input: {}, waitMs: 0 }))
  const [asked] = (await next(inbox)).requests
  expect(asked).toMatchObject({ status: 'OPEN', canAnswer: true })
  const handed = await api.run(
    boss,
    `mutation { delegateApproval(input: { id: "${asked.id}", to: "${deputy.handle}" }) { __typename } }`,
  )
  expect(handed.data.delegateApproval.__typename).toBe('DelegateApprovalSuccess')
  expect((await next(hers)).requests).toMatchObject([{ id: asked.id, canAnswer: true }])
  expect((await next(inbox)).requests).toMatchObject([{ id: asked.id, canAnswer: false }])
  for (const feed of [inbox, hers]) await feed.return()
})

test('each feed that the page shows begins with its snapshot, and resumes after its cursor', async () => {
  const page = await readFile(new URL('../../docs/feeds.md', import.meta.url), 'utf8')
  const documents = [...page.matchAll(/^```graphql\n([^]*?)^```$/gm)].map(([, text]) => text!)
  expect(documents).toHaveLength(3)
  for (const document of documents) {
    const id = await start()
    const feed = await subscribe(owner, document, { id })
    const { data, errors } = JSON.parse((await feed.next()).value!)
    expect(errors).toBeUndefined()
    const [{ cursor, ...snapshot }] = Object.values(data) as [Frame]
    expect(Object.keys(snapshot)).not.toEqual([])
    const resumed = await subscribe(owner, document, { id, after: cursor })
    await start()
    unwrap(await cancelExecution(call(owner), { id: decodeId('execution', id)! }))
    expect(JSON.parse((await resumed.next()).value!).errors).toBeUndefined()
    for (const one of [feed, resumed]) await one.return()
  }
})
