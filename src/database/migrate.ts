/** Brings the database to this program's schema: versioned migrations once each, repeatable SQL whenever its text changed. */
import { Migrator } from '@mikro-orm/migrations'
import type { Migration } from '@mikro-orm/migrations'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Kysely } from 'kysely'
import { CompiledQuery } from 'kysely'
import type { Logger } from '../log.ts'
import { limitTime } from './database.ts'
import type { Database } from './database.ts'
import { openOrm } from './orm.ts'

/** Any constant: all that migrate one database take this lock first. */
const MIGRATION_LOCK = 7_312_019
const LOCK_WAIT_MS = 60_000

/** What `migrations/list.ts` exports. */
export interface MigrationPlan {
  readonly migrations: readonly {
    readonly name: string
    readonly class: new (...args: ConstructorParameters<typeof Migration>) => Migration
  }[]
  /** SQL files that may be applied again and again (`create or replace function`), in this order */
  readonly repeatables: readonly URL[]
}

export interface MigrateOptions extends MigrationPlan {
  /** URL of the role that owns the tables */
  readonly connection: string
  /** the role that the application connects as: put wherever the SQL says `sluice_app` */
  readonly appRole: string
  /** statements that come last, at each start: what of the configuration only the owner may write */
  readonly settle?: readonly { text: string; params: readonly unknown[] }[]
  readonly log: Logger
}

/**
 * Applies what is pending and gives its names. Safe to run from many processes at once: one works, the others wait and find
 * nothing to do. Either every pending migration is applied or none is.
 */
export async function migrateDatabase(options: MigrateOptions): Promise<string[]> {
  const { log, migrations } = options
  const appRole = `"${options.appRole.replaceAll('"', '""')}"`
  const nameAppRole = (sql: string): string => sql.replace(/\bsluice_app\b/g, () => appRole)
  const orm = await openOrm({
    connection: options.connection,
    entities: [],
    // One connection holds the lock, the other works.
    poolSize: 2,
    patient: true,
    log,
    name: 'sluice migrate',
    // behind a pooler the role may have limits of its own (limit-role.ts)
    onConnect: limitTime(0),
    extensions: [Migrator],
    migrations: { tableName: 'migrations', migrationsList: [...migrations] },
    onQuery: nameAppRole,
  })
  try {
    const kysely = orm.em.fork().getKysely<unknown>()
    return await kysely.connection().execute(async (locked) => {
      await run(locked, `select set_config('lock_timeout', $1, false)`, [`${LOCK_WAIT_MS}`])
      await run(locked, 'select pg_advisory_lock($1)', [MIGRATION_LOCK])
      await run(locked, 'set lock_timeout = 0')
      await run(locked, 'create schema if not exists sluice')
      await refuseNewer(locked, migrations)
      const versioned = (await orm.migrator.up()).map(({ name }) => name)
      const repeated = await applyRepeatables(locked, options.repeatables, nameAppRole)
      for (const { text, params } of options.settle ?? []) await run(locked, text, params)
      const applied = [...versioned, ...repeated]
      if (applied.length > 0) log.info({ applied }, 'migrated the database')
      return applied
    })
  } finally {
    // Ends the connection, and with it the lock.
    await orm.close(true)
  }
}

/** An older program would put its own functions over those that the newer one works with. */
async function refuseNewer(locked: Kysely<unknown>, migrations: MigrationPlan['migrations']): Promise<void> {
  const [there] = await run<{ there: boolean }>(locked, `select to_regclass('sluice.migrations') is not null as there`)
  if (!there?.there) return
  const names = migrations.map(({ name }) => name)
  const newer = await run<{ name: string }>(locked, 'select name from sluice.migrations where name <> all ($1) order by id', [
    names,
  ])
  if (newer.length === 0) return
  throw new Error(
    `a newer release of Sluice has been at this database (${newer.map(({ name }) => name).join(', ')}): run that one, or restore a backup from before`,
  )
}

/** What the database lacks (`pending`) and what a newer program left there (`unknown`); changes nothing. */
export async function checkMigrations(
  database: Database,
  plan: MigrationPlan,
): Promise<{ pending: string[]; unknown: string[] }> {
  // while somebody migrates there is a schema already, which this role may not look into
  const [there] = await database.query<{ there: boolean }>(
    `select case when has_schema_privilege(to_regnamespace('sluice'), 'USAGE')
       then to_regclass('sluice.repeatable_migrations') is not null else false end as there`,
  )
  if (!there?.there) return { pending: plan.migrations.map(({ name }) => name), unknown: [] }
  const applied = new Set((await database.query<{ name: string }>('select name from sluice.migrations')).map(({ name }) => name))
  const remembered = await database.query<Remembered>('select name, sha256 from sluice.repeatable_migrations')
  const changed = (await readRepeatables(plan.repeatables)).filter((file) => isChanged(file, remembered))
  const known = new Set(plan.migrations.map(({ name }) => name))
  return {
    pending: [...plan.migrations.filter(({ name }) => !applied.has(name)), ...changed].map(({ name }) => name),
    unknown: [...applied].filter((name) => !known.has(name)),
  }
}

interface Remembered {
  name: string
  sha256: string
}

interface RepeatableFile extends Remembered {
  text: string
}

async function applyRepeatables(
  locked: Kysely<unknown>,
  urls: readonly URL[],
  nameAppRole: (sql: string) => string,
): Promise<string[]> {
  const remembered = await run<Remembered>(locked, 'select name, sha256 from sluice.repeatable_migrations')
  const changed = (await readRepeatables(urls)).filter((file) => isChanged(file, remembered))
  if (changed.length === 0) return []
  await run(locked, 'begin')
  for (const { name, sha256, text } of changed) {
    await run(locked, nameAppRole(text)).catch((cause: unknown) => {
      throw new Error(`${name} could not be applied: ${(cause as Error).message}`, { cause })
    })
    await run(
      locked,
      `insert into sluice.repeatable_migrations (name, sha256) values ($1, $2)
       on conflict (name) do update set sha256 = excluded.sha256, applied_at = now()`,
      [name, sha256],
    )
  }
  await run(locked, 'commit')
  return changed.map(({ name }) => name)
}

/** Named by room and file: `engine/commit.sql`. */
async function readRepeatables(urls: readonly URL[]): Promise<RepeatableFile[]> {
  return Promise.all(
    urls.map(async (url) => {
      const text = await readFile(url, 'utf8')
      const name = url.pathname.split('/').slice(-2).join('/')
      return { name, text, sha256: createHash('sha256').update(text).digest('hex') }
    }),
  )
}

function isChanged(file: RepeatableFile, remembered: readonly Remembered[]): boolean {
  return remembered.find(({ name }) => name === file.name)?.sha256 !== file.sha256
}

async function run<Row>(connection: Kysely<unknown>, text: string, params: readonly unknown[] = []): Promise<Row[]> {
  return (await connection.executeQuery<Row>(CompiledQuery.raw(text, params as unknown[]))).rows
}
