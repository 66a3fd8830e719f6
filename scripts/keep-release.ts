/**
 * `npm run keep:release`: keeps what this release makes of a database, for the tests of the next ones (test/releases): its functions, the
 * statements that it sends, and rows of executions in every state, as they are when its processes are killed.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { Client } from 'pg'
import { plan } from '../migrations/list.ts'
import { startApp } from '../src/app/app.ts'
import type { App } from '../src/app/app.ts'
import { loadConfig } from '../src/config/config.ts'
import { startEmbedded } from '../src/database/embedded.ts'
import { createLog } from '../src/log.ts'
import { RELEASE } from '../src/release.ts'
import { KEPT_FLOWS } from '../test/releases/flows.ts'
import type { KeptRelease } from '../test/releases/kept-release.ts'
import { sqlOf } from '../test/releases/sql-of.ts'

const root = join(import.meta.dirname, '..')
const target = join(root, 'test', 'releases', `level-${plan.schemaLevel.level}.json.gz`)
const log = createLog('silent')

// before anything asks: whatever this process sends is noted
const statements = new Set<string>()
const query = Client.prototype.query
Client.prototype.query = function noted(this: Client, ...args: unknown[]) {
  const [first] = args
  const text = typeof first === 'string' ? first : ((first as { text?: string } | undefined)?.text ?? '')
  if (/^\s*(select|insert|update|delete|with)\b/i.test(text)) statements.add(text)
  return (query as (...all: unknown[]) => unknown).apply(this, args)
} as typeof query

const SIGN_IN = `mutation { signIn(input: { email: "admin@sluice.local", password: "Correct-horse-1" }) { ... on SignInSuccess { accessToken } } }`
const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename
  ... on ValidationProblem { issues { path code message } } } }`
const START = `mutation ($flow: String!, $key: String!) { startExecution(input: { flow: $flow, input: {}, idempotencyKey: $key }) {
  ... on StartExecutionSuccess { execution { id } } } }`
const PAUSE = 'mutation ($id: ID!) { pauseExecution(input: { id: $id, reason: "kept" }) { __typename } }'
const STATUS = 'query ($id: ID!) { execution(id: $id) { status } }'
/** For the statements that it sends. */
const READ = `{ flows(first: 5) { edges { node { id name } } } auditEvents(first: 5) { edges { node { id } } } agentRequests(first: 5) { edges { node { id } } }
  executions(first: 5) { edges { node { id status steps { path status } events { seq type } state output } } } auditVerification { intact } }`
/** Agents have ten minutes at most, and whoever reads this comes later. */
const FAR_DEADLINES = `
update sluice.agent_requests set deadline_at = '2099-01-01Z' where status = 'OPEN';
update sluice.executions set wake_at = '2099-01-01Z', in_flight = (select jsonb_agg(x || '{"dueAt": 4070908800000}') from jsonb_array_elements(in_flight) x)
where in_flight @> '[{"kind": "agent"}]' and owner is null`

const dataDir = await mkdtemp(join(tmpdir(), 'sluice-keep-'))
const postgres = await startEmbedded({ dataDir, log })
try {
  const secret = (): string => randomBytes(48).toString('base64url')
  const secrets = { SLUICE_JWT_SECRET: secret(), SLUICE_SECRETS_KEY: secret(), SLUICE_AUDIT_KEY: secret() }
  const settings = { ...secrets, SLUICE_ADMIN_PASSWORD: 'Correct-horse-1', SLUICE_POOLS_ALLOWED: 'gpu' }
  process.env['HOLD'] = 'yes'
  const environment = {
    ...{ ...settings, DATABASE_URL: postgres.appUrl, DATABASE_OWNER_URL: postgres.ownerUrl, PORT: '0', SLUICE_DATA_DIR: dataDir },
    ...{
      SLUICE_HANDLERS_DIR: join(root, 'test', 'releases', 'handlers'),
      SLUICE_LIMIT_FLOW_WRITES_PER_MINUTE: '1000',
      SLUICE_LIMIT_API_PER_MINUTE: '100000',
    },
  }
  const onFatal = (error: Error): never => {
    throw error
  }
  const app = await startApp({
    config: loadConfig({ ...environment, NODE_ENV: 'test' }, { mode: 'start' }),
    environment,
    log,
    onFatal,
    serve: true,
    work: true,
  })
  const started = await fill(app)
  const owner = new Client({ connectionString: postgres.superuserUrl.replace(/\/postgres$/, '/sluice') })
  owner.on('error', () => {})
  await owner.connect()
  const kept: KeptRelease = {
    ...{ level: plan.schemaLevel.level, release: RELEASE, settings, started },
    migrations: Object.fromEntries(plan.migrations.map((one) => [one.name, digest(sqlOf(one))])),
    repeatables: Object.fromEntries(
      await Promise.all(
        plan.repeatables.map(async (url) => [url.pathname.split('/').slice(-2).join('/'), await readFile(url, 'utf8')] as const),
      ),
    ),
    tables: await readTables(owner),
    statements: await preparable(owner, [...statements].sort()),
  }
  await owner.end()
  await writeFile(target, gzipSync(JSON.stringify(kept), { level: 9 }))
  console.log(`${target}: ${Object.keys(kept.tables).length} tables, ${kept.statements.length} statements`)
} finally {
  // as if it had been killed: nothing is given back
  await postgres.stop()
  await rm(dataDir, { recursive: true, force: true })
}
process.exit(0)

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** The ids of what was started, by flow. */
async function fill(app: App): Promise<Record<string, string[]>> {
  const { signIn } = await ask<{ signIn: { accessToken: string } }>(app, undefined, SIGN_IN)
  const asked = <Data>(text: string, variables: object = {}): Promise<Data> => ask<Data>(app, signIn.accessToken, text, variables)
  for (const [name, { definition }] of Object.entries(KEPT_FLOWS)) {
    const variables = { definition: { name, timeout: 'P3650D', ...definition } }
    const { createFlow } = await asked<{ createFlow: { __typename: string } }>(CREATE, variables)
    if (createFlow.__typename !== 'CreateFlowSuccess') throw new Error(`${name}: ${JSON.stringify(createFlow)}`)
  }
  const started: Record<string, string[]> = {}
  for (const [name, { times = 1, kept }] of Object.entries(KEPT_FLOWS)) {
    for (let time = 0; time < times; time++) {
      const { startExecution } = await asked<{ startExecution: { execution: { id: string } } }>(START, {
        flow: name,
        key: `${name}-${time}`,
      })
      const { id } = startExecution.execution
      ;(started[name] ??= []).push(id)
      if (kept === 'PAUSED') await asked(PAUSE, { id })
    }
  }
  for (const [name, [id]] of Object.entries(started))
    await until(name, async () => (await asked<{ execution: { status: string } }>(STATUS, { id })).execution.status)
  await asked(READ)
  return started
}

async function until(name: string, status: () => Promise<string>): Promise<void> {
  const { kept } = KEPT_FLOWS[name]!
  const end = performance.now() + 30_000
  for (let now = await status(); now !== kept; now = await status()) {
    if (performance.now() > end) throw new Error(`${name} is ${now}, not ${kept}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function ask<Data>(app: App, token: string | undefined, query: string, variables: object = {}): Promise<Data> {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const answer = await fetch(`${app.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  const { data, errors } = (await answer.json()) as { data: Data; errors?: unknown }
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}

/** All of one moment, as a killed process leaves them. */
async function readTables(owner: Client): Promise<KeptRelease['tables']> {
  await owner.query('begin isolation level repeatable read')
  await owner.query(FAR_DEADLINES)
  const names = await owner.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'sluice'::regnamespace and relkind in ('r', 'p') and not relispartition
       and relname not in ('migrations', 'repeatable_migrations', 'schema_level') order by 1`,
  )
  const tables: KeptRelease['tables'] = {}
  for (const { name } of names.rows) {
    const rows = await owner.query<{ rows: string | null }>(`select json_agg(t)::text as rows from sluice.${name} t`)
    if (rows.rows[0]?.rows) tables[name] = rows.rows[0].rows
  }
  await owner.query('rollback')
  return tables
}

/** Those that PostgreSQL understands without being told the types of their parameters. */
async function preparable(owner: Client, texts: readonly string[]): Promise<string[]> {
  const good: string[] = []
  for (const text of texts) {
    const understood = await owner.query(`prepare kept as ${text}`).then(
      () => owner.query('deallocate kept'),
      () => undefined,
    )
    if (understood) good.push(text)
  }
  return good
}
