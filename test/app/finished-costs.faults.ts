/**
 * What a server asks of PostgreSQL while it works, beside next to nothing and beside 100,000 finished executions that PostgreSQL has no
 * statistics of, or wrong ones: no statement may look at more pages for what has ended.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Client } from 'pg'
import { plan } from '../../migrations/list.ts'
import { startEmbedded } from '../../src/database/embedded.ts'
import type { EmbeddedPostgres } from '../../src/database/embedded.ts'
import { migrateDatabase } from '../../src/database/migrate.ts'
import { createLog } from '../../src/log.ts'
import { onDatabase } from '../harness/urls.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'

const FINISHED = 100_000
const PASSWORD = 'Correct-horse-1'
/** Indexes of 100,000 rows are a level or two deeper, and what came since the first measurement counts too; the smallest of the tables has 650 pages. */
const FACTOR = 3
const MORE_PAGES = 300

const log = createLog('silent')
const settings = {
  ...{ shared_preload_libraries: 'pg_stat_statements', 'pg_stat_statements.track': 'all', 'pg_stat_statements.max': '10000' },
  ...{ autovacuum: 'off', fsync: 'off', full_page_writes: 'off' },
}
let postgres: EmbeddedPostgres
let superuser: Client
let env: Record<string, string>

beforeAll(async () => {
  postgres = await startEmbedded({ dataDir: await dataDirectory(), log, settings })
  await migrateDatabase({ connection: postgres.ownerUrl, appRole: 'sluice_app', ...plan, release: 'test', log })
  superuser = new Client({ connectionString: onDatabase(postgres.superuserUrl, 'sluice') })
  await superuser.connect()
  await superuser.query('create extension pg_stat_statements')
  env = {
    ...{ DATABASE_URL: postgres.appUrl, DATABASE_OWNER_URL: postgres.ownerUrl, SLUICE_ADMIN_PASSWORD: PASSWORD },
    ...{ SLUICE_JWT_SECRET: randomBytes(48).toString('base64url'), SLUICE_SECRETS_KEY: randomBytes(48).toString('base64url') },
    ...{ SLUICE_METRICS_PORT: '0', SLUICE_DATA_DIR: await dataDirectory() },
  }
}, 180_000)
afterAll(async () => {
  await superuser.end()
  await postgres.stop()
})

const FLOWS = [
  {
    name: 'worker',
    concurrency: { key: '${{ string(input.n % 3) }}', max: 2 },
    steps: {
      first: { type: 'handler', handler: 'echo', with: { n: '${{ input.n }}' } },
      nap: { type: 'wait', after: ['first'], duration: 'PT0.2S' },
      each: { type: 'map', after: ['nap'], over: '${{ [1, 2, 3] }}', step: { type: 'transform', set: { n: '${{ item }}' } } },
      child: { type: 'flow', after: ['each'], flow: 'small', input: {} },
      ask: { type: 'agent', after: ['child'], role: 'ceo', subject: '?', request: {}, timeout: 'PT0.5S', onError: 'continue' },
    },
  },
  { name: 'small', steps: { only: { type: 'transform', set: { a: '${{ 1 }}' } } } },
  {
    name: 'timed',
    triggers: [{ type: 'schedule', name: 'often', cron: '* * * * *' }],
    steps: { only: { type: 'transform', set: { a: '${{ 1 }}' } } },
  },
]
const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename ... on Problem { message } ... on ValidationProblem { issues { path message } } } }`
const START = `mutation ($input: StartExecutionInput!) { startExecution(input: $input) { ... on StartExecutionSuccess { execution { id status } } ... on Problem { message } } }`
const LISTS = `{
  newest: executions(first: 20) { edges { node { id status initiator { __typename } } } }
  running: executions(first: 20, filter: { status: [RUNNING, WAITING] }) { edges { node { id } } }
  ended: executions(first: 20, orderBy: OLDEST_FIRST, filter: { flow: "small", status: [SUCCEEDED] }) { edges { node { id } } }
  failed: executions(first: 20, filter: { status: [FAILED] }) { edges { node { id } } }
  labelled: executions(first: 20, filter: { label: { key: "no", value: "where" } }) { edges { node { id } } }
  agentRequests(first: 20) { edges { node { id } } }
  auditEvents(first: 20) { edges { node { id } } }
  flows(first: 20) { edges { node { id } } }
  viewer { id }
}`
const ONE = `query ($id: ID!) { execution(id: $id) { input output events(first: 50) { seq } steps { id } } }`

/** Of several filters PostgreSQL takes the one that matches least: of a table that nobody ever analysed it cannot know which. */
const LISTS_BY_FILTER = /from sluice\.executions as t where t\.id = any\(array\(select walked\.id/
const NONE = /^$/

/** The work of a server from its start to its end, once: what a statement looks at each time, by its text. */
async function measure(make: boolean): Promise<Map<string, { calls: number; pages: number }>> {
  const server = await startServerProcess(env['SLUICE_DATA_DIR']!, env)
  let token = ''
  // what a document asks for is what its test reads
  // oxlint-disable-next-line no-explicit-any
  const ask = async (query: string, variables: object = {}): Promise<any> => {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const body = JSON.stringify({ query, variables })
    const { data, errors } = (await (await fetch(`${server.url}/graphql`, { method: 'POST', headers, body })).json()) as {
      data: unknown
      errors?: unknown
    }
    if (errors) throw new Error(JSON.stringify(errors))
    return data
  }
  const signIn = `mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }`
  token = (await ask(signIn, { input: { email: 'admin@sluice.local', password: PASSWORD } })).signIn.accessToken
  for (const definition of make ? FLOWS : [])
    expect((await ask(CREATE, { definition })).createFlow).toEqual({ __typename: 'CreateFlowSuccess' })
  const work = async (n: number): Promise<string> => {
    const { startExecution } = await ask(START, { input: { flow: 'worker', input: { n }, waitMs: 20_000, labels: [] } })
    expect(startExecution).toMatchObject({ execution: { status: 'SUCCEEDED' } })
    return startExecution.execution.id as string
  }
  const ids = await Promise.all(Array.from({ length: 12 }, (_, n) => work(n)))
  for (let times = 0; times < 3; times++) await ask(LISTS)
  for (const id of ids) await ask(ONE, { id })
  const metrics = /metrics +(\S+)/.exec(server.output())![1]!
  for (let times = 0; times < 3; times++) expect((await fetch(metrics)).status).toBe(200)
  expect(await server.end('SIGTERM')).toBe(0)
  const { rows } = await superuser.query<{ text: string; calls: number; pages: number }>(
    `select s.query as text, sum(calls)::int as calls, (sum(shared_blks_hit + shared_blks_read) / sum(calls))::float8 as pages
     from pg_stat_statements s join pg_roles r on r.oid = s.userid where r.rolname <> 'postgres' group by 1`,
  )
  await superuser.query('select pg_stat_statements_reset()')
  return new Map(rows.map(({ text, ...row }) => [text, row]))
}

const SEED = `
with seeded as (
  insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, steps_succeeded,
    seq, created_at, started_at, ended_at)
  select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint - n::bigint * 2500), 12, '0') || '7000' || substr(md5(n::text), 1, 16))::uuid,
    v.flow_id, v.id, f.owner_id, case when n % 50 = 0 then 'CANCELED' else 'SUCCEEDED' end, now(), 2, 1, 1, 2,
    now() - n * interval '2.5 s', now() - n * interval '2.5 s', now() - n * interval '2.5 s'
  from generate_series(1000, 1000 + $1::integer) n, sluice.flow_versions v join sluice.flows f on f.id = v.flow_id where f.name = 'small'
  returning id, flow_id, initiator_id, ended_at),
inputs as (insert into sluice.execution_inputs select id, '{}' from seeded),
outputs as (insert into sluice.execution_outputs select id, '{}' from seeded),
steps as (insert into sluice.step_runs (execution_id, path, name, type, status, attempt, finished_at)
  select id, 'only', 'only', 'transform', 'SUCCEEDED', 1, ended_at from seeded),
events as (insert into sluice.events (execution_id, seq, type, at) select id, seq, 'step.succeeded', ended_at from seeded, generate_series(1, 2) seq),
asked as (insert into sluice.agent_requests (id, execution_id, flow_id, initiator_id, path, attempt, kind, role, subject, status, created_at)
  select id, id, flow_id, initiator_id, 'ask', 1, 'REQUEST', 'ceo', '?', 'EXPIRED', ended_at from seeded),
keys as (insert into sluice.idempotency_keys (principal_id, operation, key, input_hash, subject_id, created_at)
  select initiator_id, 'startExecution', id::text, '', id, now() from seeded)
insert into sluice.audit_events (id, at, type, severity, actor_kind, success, execution_id)
select id, ended_at, 'execution.finished', 'INFO', 'SYSTEM', true, id from seeded`

test(
  'no statement of a server at work costs more beside 100,000 finished executions, whatever PostgreSQL believes of them',
  { timeout: 600_000 },
  async () => {
    await measure(true)
    const empty = await measure(false)
    await superuser.query('set session_replication_role = replica')
    await superuser.query(SEED, [FINISHED])
    // what is new in the log is sealed
    await measure(false)
    const compare = async (believes: string, except: RegExp): Promise<string[]> => {
      const found = await measure(false)
      const grown = [...found].filter(
        ([text, { pages }]) => pages > (empty.get(text)?.pages ?? 0) * FACTOR + MORE_PAGES && !except.test(text),
      )
      return grown.map(([text, { pages, calls }]) => {
        const before = empty.get(text)?.pages.toFixed(0) ?? 'not asked'
        return `${believes}: ${before} -> ${pages.toFixed(0)} pages, ${calls} times: ${text.slice(0, 2_000)}`
      })
    }
    const wrong = await compare('nothing known', LISTS_BY_FILTER)
    await superuser.query('analyze')
    wrong.push(...(await compare('analysed', NONE)))
    await superuser.query(
      `select pg_restore_relation_stats('schemaname', 'sluice', 'relname', relname::text, 'reltuples', 10::real, 'relpages', 1)
       from pg_class where relnamespace = 'sluice'::regnamespace and relkind = 'r'`,
    )
    wrong.push(...(await compare('ten rows each', NONE)))
    expect(wrong).toEqual([])
  },
)
