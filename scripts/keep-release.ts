/**
 * `npm run keep:release`: keeps what this release makes of a database, for the tests of the next ones (test/releases): its functions, the
 * statements that it sends, and rows of everything that can be under way, as they are when its processes are killed. With the directory
 * of another checkout, installed, it keeps that one: `npm run keep:release -- ../older`.
 */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Client } from 'pg'
import { fill } from '../test/releases/fill.ts'
import { KEPT_PASSWORD } from '../test/releases/flows.ts'
import type { KeptRelease } from '../test/releases/kept-release.ts'
import { sqlOf } from '../test/releases/sql-of.ts'

type Listed = Partial<typeof import('../migrations/list.ts')> &
  Pick<typeof import('../migrations/list.ts'), 'migrations' | 'repeatables'>

const root = join(import.meta.dirname, '..')
const from = resolve(process.argv[2] ?? root)
const handlers = join(root, 'test', 'releases', 'handlers')

// before anything asks: whatever this process sends is noted
const pg = createRequire(join(from, 'package.json'))('pg') as typeof import('pg')
const statements = new Set<string>()
const query = pg.Client.prototype.query
pg.Client.prototype.query = function noted(this: Client, ...args: unknown[]) {
  const [first] = args
  const text = typeof first === 'string' ? first : ((first as { text?: string } | undefined)?.text ?? '')
  if (/^\s*(select|insert|update|delete|with)\b/i.test(text)) statements.add(text)
  return (query as (...all: unknown[]) => unknown).apply(this, args)
} as typeof query

const listed = (await import(join(from, 'migrations/list.ts'))) as Listed
const { startApp } = (await import(join(from, 'src/app/app.ts'))) as typeof import('../src/app/app.ts')
const { loadConfig } = (await import(join(from, 'src/config/config.ts'))) as typeof import('../src/config/config.ts')
const { startEmbedded } = (await import(join(from, 'src/database/embedded.ts'))) as typeof import('../src/database/embedded.ts')
const { createLog } = (await import(join(from, 'src/log.ts'))) as typeof import('../src/log.ts')

const log = createLog('silent')
const { version } = JSON.parse(await readFile(join(from, 'package.json'), 'utf8')) as { version: string }
// those of before levels have the first
const level = listed.plan?.schemaLevel.level ?? 1

/** Whoever reads this comes later: agents have ten minutes at most, and sessions a month. */
const FAR_DEADLINES = `
update sluice.agent_requests set deadline_at = '2099-01-01Z' where status = 'OPEN';
update sluice.executions set wake_at = '2099-01-01Z', in_flight = (select jsonb_agg(x || '{"dueAt": 4070908800000}') from jsonb_array_elements(in_flight) x)
where in_flight @> '[{"kind": "agent"}]' and owner is null;
update sluice.sessions set expires_at = '2099-01-01Z';
update sluice.refresh_tokens set expires_at = '2099-01-01Z';
update sluice.api_keys set expires_at = '2099-01-01Z'`

const dataDir = await mkdtemp(join(tmpdir(), 'sluice-keep-'))
const postgres = await startEmbedded({ dataDir, log })
try {
  const secret = (): string => randomBytes(48).toString('base64url')
  const secrets = { SLUICE_JWT_SECRET: secret(), SLUICE_SECRETS_KEY: secret(), SLUICE_AUDIT_KEY: secret() }
  const settings = { ...secrets, SLUICE_ADMIN_PASSWORD: KEPT_PASSWORD, SLUICE_POOLS_ALLOWED: 'gpu' }
  process.env['HOLD'] = 'yes'
  const environment = {
    ...{ ...settings, DATABASE_URL: postgres.appUrl, DATABASE_OWNER_URL: postgres.ownerUrl, PORT: '0', SLUICE_DATA_DIR: dataDir },
    ...{ SLUICE_HANDLERS_DIR: handlers, SLUICE_LIMIT_FLOW_WRITES_PER_MINUTE: '1000', SLUICE_LIMIT_API_PER_MINUTE: '100000' },
    // what schedules and webhooks are to start is left to the next release
    SLUICE_CHORES: 'false',
  }
  const onFatal = (error: Error): never => {
    throw error
  }
  const app = await startApp({
    config: loadConfig({ ...environment, NODE_ENV: 'test' }, { mode: 'start' }),
    ...{ environment, log, onFatal, serve: true, work: true },
  })
  const { started, clients } = await fill(app.url!)
  const owner = new pg.Client({ connectionString: postgres.superuserUrl.replace(/\/postgres$/, '/sluice') })
  owner.on('error', () => {})
  await owner.connect()
  const [told] = (await owner.query<{ epoch: string }>('select sluice.database_epoch() as epoch')).rows
  const kept: KeptRelease = {
    ...{ level, release: version, settings, started, clients: { ...clients, epoch: told!.epoch } },
    migrations: Object.fromEntries(listed.migrations.map((one) => [one.name, digest(sqlOf(one))])),
    repeatables: Object.fromEntries(
      await Promise.all(
        listed.repeatables.map(
          async (url) => [url.pathname.split('/').slice(-2).join('/'), await readFile(url, 'utf8')] as const,
        ),
      ),
    ),
    tables: await readTables(owner),
    statements: await preparable(owner, [...statements].sort()),
  }
  await owner.end()
  const target = join(root, 'test', 'releases', `level-${level}.json.gz`)
  const bytes = gzipSync(JSON.stringify(kept), { level: 9 })
  await writeFile(target, bytes)
  console.log(`${target}: ${Object.keys(kept.tables).length} tables, ${kept.statements.length} statements, ${bytes.length} bytes`)
} finally {
  // as if it had been killed: nothing is given back
  await postgres.stop()
  await rm(dataDir, { recursive: true, force: true })
}
process.exit(0)

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
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
