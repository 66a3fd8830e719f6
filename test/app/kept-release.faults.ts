/** What the last release that was kept (test/releases) left behind when it was killed goes on with this one; and what it sends, it still could. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { plan } from '../../migrations/list.ts'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import { verifyAudit } from '../../src/audit/verify-audit.ts'
import { migrateDatabase } from '../../src/database/migrate.ts'
import { createLog } from '../../src/log.ts'
import { breaches } from '../harness/invariants.ts'
import { dataDirectory, spawnSluice } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'
import { onDatabase } from '../harness/urls.ts'
import { ask as askAs, follow } from '../releases/client.ts'
import type { FeedName, Frame } from '../releases/client.ts'
import { ADMIN_EMAIL } from '../releases/fill.ts'
import { KEPT_DELIVERY, KEPT_FLOWS, KEPT_PASSWORD, KEPT_SECRETS } from '../releases/flows.ts'
import { readKeptRelease } from '../releases/kept-release.ts'
import { restoreRelease } from '../releases/restore.ts'

const kept = readKeptRelease()
const { database, env, name, ownerConnection } = await testDatabase({ migrated: false })
const owner = new Client({ connectionString: onDatabase(inject('cluster').superuser, name) })
await owner.connect()
afterAll(() => owner.end())

beforeAll(async () => {
  await restoreRelease(owner, kept)
  await migrateDatabase({
    ...{ connection: ownerConnection, appRole: 'sluice_app', release: 'this', log: createLog('silent') },
    ...plan,
  })
  // it passes for the database in which the release was kept, not for a copy, to which cursors would not lead
  await owner.query(
    `create or replace function sluice.database_epoch() returns text language sql stable as $$ select '${kept.clients.epoch}' $$`,
  )
})

test('every statement of the release before is understood by the schema of this one, and each of its functions is there', async () => {
  const app = new Client({ connectionString: env.DATABASE_URL })
  await app.connect()
  const refused: string[] = []
  for (const text of kept.statements) {
    await app.query(`prepare kept as ${text}`).then(
      () => app.query('deallocate kept'),
      (error: Error) => refused.push(`${error.message}: ${text.slice(0, 300)}`),
    )
  }
  await app.end()
  expect(kept.statements.length).toBeGreaterThan(100)
  expect(refused).toEqual([])
})

/** Longer ago than anything is kept. */
const LONG_AGO = {
  ...{ SLUICE_RETAIN_PAYLOADS_DAYS: '3650', SLUICE_RETAIN_EVENTS_DAYS: '3650', SLUICE_RETAIN_AUDIT_DAYS: '3650' },
  SLUICE_RETAIN_KEYS_HOURS: '87600',
}
const REFRESH =
  'mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { ... on SignInSuccess { accessToken } ... on Problem { code } } }'
const SIGN_IN = 'mutation ($i: SignInInput!) { signIn(input: $i) { ... on SignInSuccess { accessToken } } }'
const REPLAY =
  'mutation ($i: StartExecutionInput!) { startExecution(input: $i) { ... on StartExecutionSuccess { replayed execution { id } } } }'
const ANSWER =
  'mutation ($i: AnswerAgentRequestInput!) { answerAgentRequest(input: $i) { __typename ... on Problem { message } } }'
const OPEN = '{ agentRequests(first: 10, filter: { status: OPEN }) { edges { node { id approval { dataHash } } } } }'

test('what the release before left goes on: executions in every state, sessions and keys, secrets, webhooks, schedules, and feeds where their clients were', async () => {
  const dataDir = await dataDirectory()
  const settings = { ...kept.settings, ...LONG_AGO, SLUICE_AUDIT_HEAD_PATH: join(dataDir, 'head') }
  const server = spawnSluice('start', dataDir, {
    ...{ ...env, ...settings, SLUICE_POOLS: 'default,gpu', SLUICE_EXAMPLES: 'false', SLUICE_LIMIT_API_PER_MINUTE: '100000' },
    SLUICE_HANDLERS_DIR: join(import.meta.dirname, '..', 'releases', 'handlers'),
  })
  const [, url = ''] = await server.said(/GraphiQL +(\S+)\/graphql/)
  const signedIn = await askAs(url, undefined, SIGN_IN, { i: { email: ADMIN_EMAIL, password: KEPT_PASSWORD } })
  const admin: string = signedIn.signIn.accessToken
  const ask = (query: string, variables: object = {}) => askAs(url, admin, query, variables)
  const idOf = (flow: string, at = 0): string => kept.started[flow]![at]!
  const { clients } = kept

  // what came after the cursors, before the process was killed, comes first
  const resume = (feed: FeedName, isOver: (frames: Frame[]) => boolean) =>
    followUntil(follow(url, admin, feed, { id: idOf('signals'), after: clients.cursors[feed] }), isOver)
  const feeds = {
    execution: resume('executionFeed', (frames) => frames.some(({ __typename }) => __typename === 'FeedEnd')),
    executions: resume('executionsFeed', (frames) =>
      frames.some(({ executions }) => executions?.some(({ id }) => id === idOf('ended', 1))),
    ),
    requests: resume('agentRequestsFeed', (frames) => answered(frames).length === 2),
    audit: resume('auditFeed', (frames) => frames.some(({ events = [] }) => events.length > 0)),
  }
  // one that is lost is told where it is awaited
  for (const feed of Object.values(feeds)) feed.catch(() => {})

  const { refreshSession } = await askAs(url, undefined, REFRESH, { token: clients.refreshToken })
  expect(await askAs(url, refreshSession.accessToken, '{ viewer { handle } }')).toEqual({ viewer: { handle: 'ann' } })
  const seen = '{ shared: flow(name: "ended") { name } other: flow(name: "failed") { name } }'
  expect(await askAs(url, clients.apiKey, seen)).toEqual({ shared: { name: 'ended' }, other: null })
  await expect(askAs(url, `${clients.apiKey}x`, seen)).rejects.toThrow('UNAUTHENTICATED')

  const { startExecution } = await ask(REPLAY, { i: { flow: 'ended', input: {}, idempotencyKey: 'ended-0' } })
  expect(startExecution).toEqual({ replayed: true, execution: { id: idOf('ended') } })
  await ask('mutation ($id: ID!) { resumeExecution(input: { id: $id }) { __typename } }', { id: idOf('paused') })
  const waiting = await ask('{ executions(first: 100, filter: { flow: "signals" }) { edges { node { id } } } }')
  for (const id of [idOf('paused'), ...waiting.executions.edges.map(({ node }: { node: { id: string } }) => node.id)])
    await ask('mutation ($id: ID!) { signalExecution(input: { id: $id, signal: "go" }) { __typename } }', { id })

  const success = { answerAgentRequest: { __typename: 'AnswerAgentRequestSuccess' } }
  const asked = await askAs(url, clients.agentKey, OPEN)
  expect(asked.agentRequests.edges).toHaveLength(1)
  for (const { node } of asked.agentRequests.edges)
    expect(await askAs(url, clients.agentKey, ANSWER, { i: { id: node.id, decision: 'ANSWER', data: { yes: true } } })).toEqual(
      success,
    )
  const { agentRequests } = await ask(OPEN)
  const votes = agentRequests.edges.flatMap(
    ({ node: { id, approval } }: { node: { id: string; approval: { dataHash: string } | null } }) =>
      approval ? [{ id, decision: 'APPROVE', dataHash: approval.dataHash }] : [],
  )
  expect(votes).toHaveLength(1)
  for (const i of votes) expect(await ask(ANSWER, { i })).toEqual(success)

  const read = async (id: string) => (await ask('query ($id: ID!) { execution(id: $id) { status output } }', { id })).execution
  for (const [flow, ids] of Object.entries(kept.started))
    for (const id of ids)
      await expect
        .poll(async () => (await read(id))?.status, { message: `${flow} ${id}`, timeout: 30_000 })
        .toBe(KEPT_FLOWS[flow]!.ends)
  const sha256 = createHash('sha256').update(KEPT_SECRETS.api_token).digest('hex')
  expect((await read(idOf('secretive'))).output).toEqual({ told: sha256 })
  const outputsOf = async (flow: string): Promise<unknown[]> => {
    const found = await ask(
      'query ($flow: String!) { executions(first: 100, filter: { flow: $flow }) { edges { node { status output } } } }',
      { flow },
    )
    return found.executions.edges.map(
      ({ node }: { node: { status: string; output: unknown } }) => node.status === 'SUCCEEDED' && node.output,
    )
  }
  await expect.poll(() => outputsOf('hooked'), { timeout: 30_000 }).toContainEqual(KEPT_DELIVERY)
  await expect.poll(async () => (await outputsOf('scheduled')).length, { timeout: 30_000 }).toBeGreaterThan(1)

  const told = (await feeds.execution).flatMap(({ events = [] }) => events)
  expect(told.map(({ seq }) => seq)).toEqual(told.map((_, at) => clients.lastSeq + 1 + at))
  expect(told.at(-1)?.type).toBe('execution.succeeded')
  for (const frames of [await feeds.executions, await feeds.requests, await feeds.audit])
    expect(frames[0]?.__typename).toMatch(/Delta$/)

  expect(await breaches(database, { atTheEnd: false })).toEqual([])
  const keys = createAuditKeys(kept.settings['SLUICE_AUDIT_KEY']!)
  const head = createSealedHead(keys, settings.SLUICE_AUDIT_HEAD_PATH)
  expect(await verifyAudit({ database, keys, head, limit: 1_000_000 })).toMatchObject({ intact: true, complete: true })
  expect(await server.end('SIGTERM')).toBe(0)
})

async function followUntil(frames: AsyncIterable<Frame>, isOver: (frames: Frame[]) => boolean): Promise<Frame[]> {
  const came: Frame[] = []
  for await (const frame of frames) {
    came.push(frame)
    if (/Gap|Closed|Snapshot/.test(frame.__typename) || isOver(came)) break
  }
  return came
}

/** Those that are answered by now. */
const answered = (frames: readonly Frame[]): string[] => [
  ...new Set(frames.flatMap(({ requests = [] }) => requests.filter(({ status }) => status === 'ANSWERED').map(({ id }) => id))),
]
