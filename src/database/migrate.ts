/** Brings the database to this program's schema: versioned migrations once each, repeatable SQL whenever its text changed. */
import { Migrator } from '@mikro-orm/migrations'
import type { Migration } from '@mikro-orm/migrations'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Kysely } from 'kysely'
import { CompiledQuery } from 'kysely'
import type { Logger } from '../log.ts'
import { limitTime } from './database.ts'
import { grantAgain } from './grant-again.ts'
import { findRights } from './lacking-rights.ts'
import type { Database } from './database.ts'
import { openOrm } from './orm.ts'
import { findOlder, readSchemaLevel, storeSchemaLevel, tooOld } from './schema-level.ts'
import type { SchemaLevel, StoredLevel } from './schema-level.ts'
import { Later } from './when-reachable.ts'

/** Any constant: all that migrate one database take this lock first. */
const MIGRATION_LOCK = 7_312_019
const LOCK_WAIT_MS = 60_000

/** What `migrations/list.ts` exports. */
export interface MigrationPlan {
  readonly migrations: readonly {
    readonly name: string
    readonly class: new (...args: ConstructorParameters<typeof Migration>) => Migration
    /** of one with statements that programs of the release before may not survive: why they do */
    readonly harmless?: string
    /** of one that they do not survive: the oldest level that does */
    readonly least?: number
  }[]
  /** SQL files that may be applied again and again (`create or replace function`), in this order */
  readonly repeatables: readonly URL[]
  readonly schemaLevel: SchemaLevel
}

export interface MigrateOptions extends MigrationPlan {
  /** URL of the role that owns the tables */
  readonly connection: string
  /** the role that the application connects as: put wherever the SQL says `sluice_app` */
  readonly appRole: string
  /** statements that come last, at each start: what of the configuration only the owner may write */
  readonly settle?: readonly { text: string; params: readonly unknown[] }[]
  /** of this program, for people */
  readonly release: string
  readonly log: Logger
}

/**
 * Applies what is pending and gives its names. Safe to run from many processes at once: one works, the others wait and find
 * nothing to do. Either every pending migration is applied or none is. A database that a newer program has migrated stays as it is.
 * Throws Later when that one does not serve this program, and while older processes run that it would not serve.
 */
export async function migrateDatabase(options: MigrateOptions): Promise<string[]> {
  const { log, migrations, schemaLevel } = options
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
      const ask = <Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> => run<Row>(locked, text, params)
      const stored = await readSchemaLevel(ask)
      const applied = isNewer(stored, schemaLevel) ? refuseTooOld(stored, schemaLevel) : await bringUp(ask)
      for (const { text, params } of options.settle ?? []) await ask(text, params)
      if (applied.length > 0) log.info({ applied }, 'migrated the database')
      return applied
    })
  } finally {
    // Ends the connection, and with it the lock.
    await orm.close(true)
  }

  async function bringUp(ask: Ask): Promise<string[]> {
    await refuseUnknown(ask, migrations)
    const older = await findOlder(ask, schemaLevel.least)
    if (older !== undefined) throw new Later(older)
    const versioned = (await orm.migrator.up()).map(({ name }) => name)
    const repeated = await applyRepeatables(ask, options.repeatables, nameAppRole)
    const isFresh = versioned.length === migrations.length
    const regranted = await grantAgain({ ask, texts: granting, role: options.appRole, appRole, nameAppRole, isFresh })
    if (regranted) log.info('gave the role of the application its rights')
    await storeSchemaLevel(ask, schemaLevel, options.release)
    return [...versioned, ...repeated]
  }

  async function granting(): Promise<string[]> {
    const texts: string[] = []
    for (const { class: Versioned } of migrations) {
      const migration = new Versioned(orm.em.getDriver(), orm.config)
      await migration.up()
      texts.push(...migration.getQueries().filter((query) => typeof query === 'string'))
    }
    return [...texts, ...(await readRepeatables(options.repeatables)).map(({ text }) => text)]
  }
}

type Ask = <Row>(text: string, params?: readonly unknown[]) => Promise<Row[]>

const isNewer = (stored: StoredLevel | undefined, own: SchemaLevel): stored is StoredLevel =>
  stored !== undefined && stored.level > own.level

function refuseTooOld(stored: StoredLevel, own: SchemaLevel): string[] {
  const why = tooOld(own, stored)
  if (why !== undefined) throw new Later(why)
  return []
}

/** Of a newer release that says no level: this program would put its own functions over those that the newer one works with. */
async function refuseUnknown(ask: Ask, migrations: MigrationPlan['migrations']): Promise<void> {
  const [there] = await ask<{ there: boolean }>(`select to_regclass('sluice.migrations') is not null as there`)
  if (!there?.there) return
  const names = migrations.map(({ name }) => name)
  const newer = await ask<{ name: string }>('select name from sluice.migrations where name <> all ($1) order by id', [names])
  if (newer.length === 0) return
  throw new Error(
    `a newer release of Sluice has been at this database (${newer.map(({ name }) => name).join(', ')}): run that one, or restore a backup from before`,
  )
}

export interface MigrationState {
  /** what the database lacks */
  readonly pending: string[]
  /** what a newer program left there */
  readonly unknown: string[]
  /** why this program cannot use what a newer one made of the database */
  readonly tooOld?: string
  /** which rights this role lacks, and what mends that; what is pending is not known then */
  readonly lacking?: string
}

/** Changes nothing. */
export async function checkMigrations(database: Pick<Database, 'query'>, plan: MigrationPlan): Promise<MigrationState> {
  // while somebody migrates there is a schema already, without tables
  const rights = await findRights(database.query)
  if (!rights) return { pending: plan.migrations.map(({ name }) => name), unknown: [] }
  if (rights.lacking !== undefined) return { pending: [], unknown: [], lacking: rights.lacking }
  const applied = new Set((await database.query<{ name: string }>('select name from sluice.migrations')).map(({ name }) => name))
  const known = new Set(plan.migrations.map(({ name }) => name))
  const unknown = [...applied].filter((name) => !known.has(name))
  const stored = await readSchemaLevel(database.query)
  const lacking = plan.migrations.filter(({ name }) => !applied.has(name))
  if (isNewer(stored, plan.schemaLevel)) {
    const why = tooOld(plan.schemaLevel, stored)
    return { pending: lacking.map(({ name }) => name), unknown, ...(why !== undefined && { tooOld: why }) }
  }
  const remembered = await database.query<Remembered>('select name, sha256 from sluice.repeatable_migrations')
  const changed = (await readRepeatables(plan.repeatables)).filter((file) => isChanged(file, remembered))
  return { pending: [...lacking, ...changed].map(({ name }) => name), unknown }
}

interface Remembered {
  name: string
  sha256: string
}

interface RepeatableFile extends Remembered {
  text: string
}

async function applyRepeatables(ask: Ask, urls: readonly URL[], nameAppRole: (sql: string) => string): Promise<string[]> {
  const remembered = await ask<Remembered>('select name, sha256 from sluice.repeatable_migrations')
  const changed = (await readRepeatables(urls)).filter((file) => isChanged(file, remembered))
  if (changed.length === 0) return []
  await ask('begin')
  for (const { name, sha256, text } of changed) {
    await ask(nameAppRole(text)).catch((cause: unknown) => {
      throw new Error(`${name} could not be applied: ${(cause as Error).message}`, { cause })
    })
    await ask(
      `insert into sluice.repeatable_migrations (name, sha256) values ($1, $2)
       on conflict (name) do update set sha256 = excluded.sha256, applied_at = now()`,
      [name, sha256],
    )
  }
  await ask('commit')
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
