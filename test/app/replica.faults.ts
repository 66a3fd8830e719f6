/** A server with a streaming standby: what may be stale is read there, while it is near; and one that is promoted takes its place. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { plan } from '../../migrations/list.ts'
import { openDatabase } from '../../src/database/database.ts'
import type { Database } from '../../src/database/database.ts'
import { startEmbedded } from '../../src/database/embedded.ts'
import type { EmbeddedPostgres } from '../../src/database/embedded.ts'
import { migrateDatabase } from '../../src/database/migrate.ts'
import { createReplica } from '../../src/database/replica.ts'
import { createLog } from '../../src/log.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import { startStandby } from '../harness/standby.ts'
import type { Standby } from '../harness/standby.ts'
import { ask as askAt, FEEDS, follow } from '../releases/client.ts'
import type { FeedName, Frame } from '../releases/client.ts'

const PASSWORD = 'Correct-horse-1'
const log = createLog('silent')
const dataDir = await dataDirectory()
let postgres: EmbeddedPostgres
let standby: Standby
let primary: Database

beforeAll(async () => {
  postgres = await startEmbedded({ dataDir, log, settings: { fsync: 'off' } })
  await migrateDatabase({ connection: postgres.ownerUrl, appRole: 'sluice_app', ...plan, release: 'test', log })
  primary = await openDatabase({ connection: postgres.appUrl, entities: [], poolSize: 4, log })
  standby = await startStandby({ dataDir, superuserUrl: postgres.superuserUrl })
}, 180_000)
afterAll(async () => {
  await primary.close()
  await standby.end()
  await postgres.stop()
})

const write = () => primary.query(`insert into sluice.auth_changes (subject) values ('user:' || gen_random_uuid())`)

test(
  'the standby is read while it is near; what fails there, or is too old, is read on the primary',
  { timeout: 180_000 },
  async () => {
    const connection = standby.at(postgres.appUrl)
    const replica = createReplica({ primary, connection, mostLagMs: 200, poolSize: 2, log })
    const standsBy = async () =>
      replica.read(primary.fork(), async (em) => {
        const rows = await em
          .getKysely<unknown>()
          .selectNoFrom(({ fn }) => fn<boolean>('pg_is_in_recovery').as('there'))
          .execute()
        return rows[0]!.there
      })
    expect(await standsBy(), 'nobody has looked').toBe(false)
    await replica.runOnce()
    await vi.waitFor(async () => {
      await replica.runOnce()
      expect(await standsBy()).toBe(true)
    })

    await standby.superuser.query('select pg_wal_replay_pause()')
    await write()
    await vi.waitFor(
      async () => {
        await replica.runOnce()
        expect(await standsBy()).toBe(false)
      },
      { timeout: 10_000, interval: 100 },
    )
    expect(replica.lagMs).toBeGreaterThan(1_000)
    await standby.superuser.query('select pg_wal_replay_resume()')
    await vi.waitFor(async () => {
      await replica.runOnce()
      expect(await standsBy()).toBe(true)
    })

    await standby.superuser.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'sluice_app'`)
    let tries = 0
    const answer = await replica.read(primary.fork(), async () => {
      tries += 1
      if (tries === 1) throw new Error('canceled in favour of what is replayed')
      return 'the primary says'
    })
    expect(answer).toBe('the primary says')
    expect(replica.lagMs, 'until somebody has looked again').toBe(undefined)
    await replica.close()

    const wrong = createReplica({ primary, connection: postgres.appUrl, mostLagMs: 200, poolSize: 2, log })
    await wrong.runOnce()
    expect(wrong.lagMs, 'the primary is no standby').toBe(undefined)
    await wrong.close()
  },
)

test(
  'a server shows the audit log as the standby has it, and as it is when the standby is gone',
  { timeout: 180_000 },
  async () => {
    const server = await startServerProcess(await dataDirectory(), {
      ...{ DATABASE_URL: postgres.appUrl, DATABASE_OWNER_URL: postgres.ownerUrl, DATABASE_READ_URL: standby.at(postgres.appUrl) },
      ...{ SLUICE_DATABASE_READ_LAG_MS: '60000', SLUICE_ADMIN_PASSWORD: PASSWORD, SLUICE_METRICS_PORT: '0' },
      ...{ SLUICE_JWT_SECRET: randomBytes(48).toString('base64url'), SLUICE_SECRETS_KEY: randomBytes(48).toString('base64url') },
    })
    let token = ''
    // what a document asks for is what its test reads
    // oxlint-disable-next-line no-explicit-any
    const ask = async (query: string, variables: object = {}): Promise<any> => {
      const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
      const answer = await fetch(`${server.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
      const { data, errors } = (await answer.json()) as { data: unknown; errors?: unknown }
      if (errors) throw new Error(JSON.stringify(errors))
      return data
    }
    const signIn = async () =>
      (
        await ask(`mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }`, {
          input: { email: 'admin@sluice.local', password: PASSWORD },
        })
      ).signIn.accessToken as string
    token = await signIn()
    const signIns = async (): Promise<number> =>
      (await ask('{ auditEvents(first: 100, filter: { type: "signIn.succeeded" }) { edges { node { id } } } }')).auditEvents.edges
        .length
    const metrics = /metrics +(\S+)/.exec(server.output())![1]!
    await vi.waitFor(async () => expect(await (await fetch(metrics)).text()).toMatch(/^sluice_replica_lag_seconds \d/m), 10_000)
    const before = await signIns()
    expect(before).toBeGreaterThan(0)

    await standby.superuser.query('select pg_wal_replay_pause()')
    await signIn()
    expect(await signIns(), 'what the standby has').toBe(before)
    await standby.superuser.query('select pg_wal_replay_resume()')
    await vi.waitFor(async () => expect(await signIns()).toBe(before + 1), 10_000)

    await standby.end()
    await signIn()
    expect(await signIns()).toBe(before + 2)
    expect(await server.end('SIGTERM')).toBe(0)
  },
)

test(
  'who follows feeds while a standby is promoted is told to begin anew, though it had everything; the audit log, which its own chain names, goes on',
  { timeout: 180_000 },
  async () => {
    const other = await startStandby({ dataDir, superuserUrl: postgres.superuserUrl })
    onTestFinished(() => other.end())
    const [jwt, key] = [randomBytes(48).toString('base64url'), randomBytes(48).toString('base64url')]
    const serverAt = async (at: (url: string) => string) =>
      startServerProcess(await dataDirectory(), {
        ...{ DATABASE_URL: at(postgres.appUrl), DATABASE_OWNER_URL: at(postgres.ownerUrl), SLUICE_ADMIN_PASSWORD: PASSWORD },
        ...{ SLUICE_JWT_SECRET: jwt, SLUICE_SECRETS_KEY: key, SLUICE_EXAMPLES: 'false' },
      })
    const before = await serverAt((url) => url)
    const { signIn } = await askAt(
      before.url,
      undefined,
      `mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }`,
      { input: { email: 'admin@sluice.local', password: PASSWORD } },
    )
    const token: string = signIn.accessToken
    await askAt(
      before.url,
      token,
      `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename } }`,
      {
        definition: { name: 'promoted', steps: { a: { type: 'signal', signals: ['go'], timeout: 'P1D' } } },
      },
    )
    const { startExecution } = await askAt(
      before.url,
      token,
      'mutation { startExecution(input: { flow: "promoted", input: {} }) { ... on StartExecutionSuccess { execution { id } } } }',
    )
    const { id } = startExecution.execution
    const first = (url: string, feed: FeedName, count: number, after?: string) =>
      take(follow(url, token, feed, { id, ...(after !== undefined && { after }) }), count)
    const names = Object.keys(FEEDS) as FeedName[]
    const cursors = new Map<FeedName, string>()
    for (const feed of names) cursors.set(feed, (await first(before.url, feed, 1))[0]!.cursor)
    expect(await before.end('SIGTERM')).toBe(0)

    const [{ lsn } = { lsn: '' }] = await primary.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')
    await vi.waitFor(async () => {
      const { rows } = await other.superuser.query('select pg_last_wal_replay_lsn() >= $1::pg_lsn as there', [lsn])
      expect(rows).toEqual([{ there: true }])
    }, 10_000)
    await other.superuser.query('select pg_promote()')

    const after = await serverAt(other.at)
    const anew = new Map<FeedName, string>()
    expect((await first(after.url, 'auditFeed', 1, cursors.get('auditFeed')))[0]!.__typename).toBe('AuditDelta')
    for (const feed of names.filter((name) => name !== 'auditFeed')) {
      const [gap, snapshot] = await first(after.url, feed, 2, cursors.get(feed))
      expect([gap!.__typename, snapshot!.__typename], feed).toEqual(['FeedGap', expect.stringMatching(/Snapshot$/)])
      anew.set(feed, snapshot!.cursor)
    }
    await askAt(after.url, token, 'mutation ($id: ID!) { signalExecution(input: { id: $id, signal: "go" }) { __typename } }', {
      id,
    })
    for (const feed of ['executionFeed', 'executionsFeed'] as const)
      expect((await first(after.url, feed, 1, anew.get(feed)))[0]!.__typename, feed).toMatch(/Delta$/)
    expect(await after.end('SIGTERM')).toBe(0)
  },
)

async function take(frames: AsyncIterable<Frame>, count: number): Promise<Frame[]> {
  const came: Frame[] = []
  for await (const frame of frames) if (came.push(frame) === count) break
  return came
}
