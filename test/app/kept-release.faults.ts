/** What the last release that was kept (test/releases) left behind when it was killed goes on with this one; and what it sends, it still could. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
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
import { KEPT_FLOWS } from '../releases/flows.ts'
import { readKeptRelease } from '../releases/kept-release.ts'

const kept = readKeptRelease()
const { database, env, name, ownerConnection } = await testDatabase({ migrated: false })
const owner = new Client({ connectionString: onDatabase(inject('cluster').superuser, name) })
await owner.connect()
afterAll(() => owner.end())

const migrate = (options: Partial<Parameters<typeof migrateDatabase>[0]>): Promise<string[]> =>
  migrateDatabase({
    connection: ownerConnection,
    appRole: 'sluice_app',
    release: 'this',
    log: createLog('silent'),
    ...plan,
    ...options,
  })

beforeAll(async () => {
  await restore()
  await migrate({})
})

/** The schema as that release made it, and its rows. */
async function restore(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-kept-'))
  const repeatables: URL[] = []
  for (const [file, text] of Object.entries(kept.repeatables)) {
    const path = join(directory, file)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
    repeatables.push(pathToFileURL(path))
  }
  const migrations = plan.migrations.filter((migration) => migration.name in kept.migrations)
  await migrate({ migrations, repeatables, schemaLevel: { level: kept.level, least: 1 }, release: kept.release })
  await rm(directory, { recursive: true })
  // as the ids say, from before the oldest partition that was made now
  for (const parent of ['step_runs', 'events'])
    await owner.query(`do $$ begin execute format('create table sluice.${parent}_kept partition of sluice.${parent} for values from (%L) to (%L)',
      '00000000-0000-0000-0000-000000000000', sluice.week_start_uuid(date_trunc('week', now(), 'UTC') - interval '7 days')); end $$`)
  await owner.query(`set session_replication_role = replica`)
  for (const [table, rows] of Object.entries(kept.tables)) {
    await owner.query(`delete from sluice.${table}`)
    await owner.query(
      `insert into sluice.${table} overriding system value select * from json_populate_recordset(null::sluice.${table}, $1)`,
      [rows],
    )
  }
  await owner.query(`set session_replication_role = origin`)
  // the audit log and feeds go by transactions: this cluster has counted as many
  const [{ behind }] = (
    await owner.query<{ behind: number }>(
      `select greatest(0, coalesce(max(xid::text::bigint), 0) - pg_snapshot_xmax(pg_current_snapshot())::text::bigint)::int as behind from sluice.audit_events`,
    )
  ).rows as [{ behind: number }]
  await owner.query(`do $$ begin for i in 1..${behind + 10} loop perform pg_current_xact_id(); commit; end loop; end $$`)
}

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

test('executions of the release before in every state go on: what ran, waited, was asked, was undone, was queued and was paused ends as it must', async () => {
  const dataDir = await dataDirectory()
  const settings = { ...kept.settings, SLUICE_AUDIT_HEAD_PATH: join(dataDir, 'head') }
  const server = spawnSluice('start', dataDir, {
    ...{
      ...env,
      ...settings,
      SLUICE_POOLS: 'default,gpu',
      SLUICE_HANDLERS_DIR: join(import.meta.dirname, '..', 'releases', 'handlers'),
    },
  })
  const [, url] = await server.said(/GraphiQL +(\S+)\/graphql/)
  // what a document asks for is what it reads
  // oxlint-disable-next-line no-explicit-any
  const askAs = async (token: string | undefined, query: string, variables: object = {}): Promise<any> => {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const answer = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
    const { data, errors } = (await answer.json()) as { data: unknown; errors?: unknown }
    expect(errors, query).toBeUndefined()
    return data
  }
  const email = 'admin@sluice.local'
  const signedIn = await askAs(
    undefined,
    'mutation ($i: SignInInput!) { signIn(input: $i) { ... on SignInSuccess { accessToken } } }',
    {
      i: { email, password: kept.settings['SLUICE_ADMIN_PASSWORD'] },
    },
  )
  const ask = (query: string, variables: object = {}) => askAs(signedIn.signIn.accessToken, query, variables)

  const idOf = (flow: string): string => kept.started[flow]![0]!
  const { startExecution } = await ask(
    'mutation ($i: StartExecutionInput!) { startExecution(input: $i) { ... on StartExecutionSuccess { replayed execution { id } } } }',
    {
      i: { flow: 'ended', input: {}, idempotencyKey: 'ended-0' },
    },
  )
  expect(startExecution).toEqual({ replayed: true, execution: { id: idOf('ended') } })
  await ask('mutation ($id: ID!) { resumeExecution(input: { id: $id }) { __typename } }', { id: idOf('paused') })
  const waiting = await ask('{ executions(first: 100, filter: { flow: "signals" }) { edges { node { id } } } }')
  for (const id of [idOf('paused'), ...waiting.executions.edges.map(({ node }: { node: { id: string } }) => node.id)])
    await ask('mutation ($id: ID!) { signalExecution(input: { id: $id, signal: "go" }) { __typename } }', { id })
  const { agentRequests } = await ask(
    '{ agentRequests(first: 10, filter: { status: OPEN }) { edges { node { id approval { dataHash } } } } }',
  )
  expect(agentRequests.edges).toHaveLength(2)
  for (const { node } of agentRequests.edges) {
    const decision = node.approval
      ? { decision: 'APPROVE', dataHash: node.approval.dataHash }
      : { decision: 'ANSWER', data: { yes: true } }
    const { answerAgentRequest } = await ask(
      'mutation ($i: AnswerAgentRequestInput!) { answerAgentRequest(input: $i) { __typename ... on Problem { message } } }',
      {
        i: { id: node.id, ...decision },
      },
    )
    expect(answerAgentRequest).toEqual({ __typename: 'AnswerAgentRequestSuccess' })
  }

  for (const [flow, ids] of Object.entries(kept.started))
    for (const id of ids)
      await expect
        .poll(async () => (await ask('query ($id: ID!) { execution(id: $id) { status } }', { id })).execution?.status, {
          message: flow,
          timeout: 30_000,
        })
        .toBe(KEPT_FLOWS[flow]!.ends)
  expect(await breaches(database, { atTheEnd: true })).toEqual([])
  const keys = createAuditKeys(kept.settings['SLUICE_AUDIT_KEY']!)
  const head = createSealedHead(keys, settings.SLUICE_AUDIT_HEAD_PATH)
  expect(await verifyAudit({ database, keys, head, limit: 1_000_000 })).toMatchObject({ intact: true, complete: true })
  expect(await server.end('SIGTERM')).toBe(0)
})
