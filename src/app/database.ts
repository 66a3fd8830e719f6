/** The database of the process: the one that is configured or the embedded one, migrated, opened; and what it waits for. */
import { plan } from '../../migrations/list.ts'
import type { Config } from '../config/config-types.ts'
import { requireSafeServer } from '../database/check-server.ts'
import { openDatabase, sqlState } from '../database/database.ts'
import { limitRole } from '../database/limit-role.ts'
import type { Database, DatabaseOptions } from '../database/database.ts'
import { startEmbedded } from '../database/embedded.ts'
import { checkMigrations, migrateDatabase } from '../database/migrate.ts'
import type { MigrationState } from '../database/migrate.ts'
import { connectionName, findOlder, readSchemaLevel } from '../database/schema-level.ts'
import type { SchemaLevel, StoredLevel } from '../database/schema-level.ts'
import { Later, untilComplete, whenReachable } from '../database/when-reachable.ts'
import { storeAges } from '../engine/retention.ts'
import type { Logger } from '../log.ts'
import { RELEASE } from '../release.ts'
import type { Health } from './health.ts'

const INSUFFICIENT_PRIVILEGE = '42501'

export interface AppDatabaseOptions {
  config: Config
  log: Logger
  /** what stops the process: the embedded database does not come back, or a newer release has ended this one */
  onFatal(error: Error): void
  /** ends a start that waits for its database */
  signal?: AbortSignal
}

interface Found {
  appUrl: string
  ownerUrl: string
  /** another may come and go, and be brought up to date by others */
  isShared: boolean
}

/** Closed with the stack. `appUrl`: as the application's role sees it. Waits for a database that is not there yet. */
export async function openAppDatabase(
  options: AppDatabaseOptions,
  entities: DatabaseOptions['entities'],
  health: Pick<Health, 'waitFor'>,
  stack: AsyncDisposableStack,
): Promise<{ database: Database; appUrl: string }> {
  const { config, log, signal = new AbortController().signal } = options
  const { directUrl, poolSize } = config.database
  const found = await findDatabase(options, stack)
  const { appUrl } = found
  const waiting = { log: log.child({ room: 'database' }), signal }
  const { isMigrated, database } = await whenReachable(async () => {
    const isMigrated = await migrateIfAllowed(options, found).catch((error: unknown) => {
      // nobody else comes by the embedded one
      if (!(error instanceof Later) || !found.isShared) throw error
      health.waitFor([error.awaited])
      throw error
    })
    if (directUrl) await limitRole(directUrl, log)
    const pooled = directUrl !== undefined
    const name = connectionName(plan.schemaLevel)
    const database = await openDatabase({ connection: appUrl, entities, poolSize, log, name, pooled })
    return { isMigrated, database }
  }, waiting)
  stack.defer(() => database.close())
  const missing = async (): Promise<readonly string[]> => health.waitFor(await pendingMigrations(database))
  if (!isMigrated) await whenReachable(() => untilComplete(missing, waiting), waiting)
  health.waitFor(['the start'])
  if (found.isShared) await requireSafeServer(database, { production: config.nodeEnv === 'production', log })
  return { database, appUrl }
}

/** `sluice migrate`: the names of what was applied. */
export async function migrateOnly(config: Config, log: Logger): Promise<string[]> {
  await using stack = new AsyncDisposableStack()
  return (await openMigrated({ config, log, onFatal: () => {} }, stack)).applied
}

export interface PlannedMigrations extends MigrationState {
  from: StoredLevel | undefined
  to: SchemaLevel
  /** what it would wait for */
  inTheWay?: string
}

/** `sluice migrate --plan`: changes nothing. */
export async function planMigrations(config: Config, log: Logger): Promise<PlannedMigrations> {
  await using stack = new AsyncDisposableStack()
  const { ownerUrl } = await findDatabase({ config, log, onFatal: () => {} }, stack)
  const database = await openDatabase({ connection: ownerUrl, entities: [], poolSize: 1, log, name: 'sluice migrate' })
  stack.defer(() => database.close())
  const state = await checkMigrations(database, plan)
  const from = await readSchemaLevel(database.query)
  const isNewer = from !== undefined && from.level > plan.schemaLevel.level
  const older = isNewer ? undefined : await findOlder(database.query, plan.schemaLevel.least)
  const inTheWay = state.tooOld ?? older
  return { ...state, from, to: isNewer ? from : plan.schemaLevel, ...(inTheWay !== undefined && { inTheWay }) }
}

/** Commits that fail for longer than this are more than one that met another: nothing can be stored. */
const FAILING_MS = 2_000

/** What keeps the process from working; empty = nothing. */
export async function waitsFor(database: Database, { failingMs }: { failingMs: number }): Promise<string[]> {
  try {
    await database.ping()
    const [mode] = await database.query<{ readOnly: boolean }>(
      `select current_setting('transaction_read_only')::boolean as "readOnly"`,
    )
    if (mode!.readOnly || failingMs > FAILING_MS) return ['a database that takes writes']
  } catch {
    return ['database']
  }
  return pendingMigrations(database)
}

async function pendingMigrations(database: Database): Promise<string[]> {
  const { pending, tooOld, lacking } = await checkMigrations(database, plan)
  const why = tooOld ?? lacking
  return why === undefined ? pending.map((name) => `migration ${name}`) : [why]
}

export interface MigratedDatabase extends Found {
  applied: string[]
}

/** Brought to this program's schema; the embedded one is stopped with the stack. */
export async function openMigrated(options: AppDatabaseOptions, stack: AsyncDisposableStack): Promise<MigratedDatabase> {
  const found = await findDatabase(options, stack)
  return { ...found, applied: await migrate(options, found) }
}

/** False: this role may not. Whoever may has to do it. */
async function migrateIfAllowed(options: AppDatabaseOptions, found: Found): Promise<boolean> {
  try {
    await migrate(options, found)
    return true
  } catch (error) {
    if (options.config.database.ownerUrl || sqlState(error) !== INSUFFICIENT_PRIVILEGE) throw error
    return false
  }
}

async function migrate({ config, log }: AppDatabaseOptions, { appUrl, ownerUrl }: Found): Promise<string[]> {
  const appRole = decodeURIComponent(new URL(appUrl).username) || 'sluice_app'
  const settle = [storeAges(config.retention)]
  return migrateDatabase({ ...plan, settle, connection: ownerUrl, appRole, release: RELEASE, log })
}

async function findDatabase({ config, log, onFatal }: AppDatabaseOptions, stack: AsyncDisposableStack): Promise<Found> {
  const { url, ownerUrl, directUrl, dataDir } = config.database
  if (url) return { appUrl: url, ownerUrl: ownerUrl ?? directUrl ?? url, isShared: true }
  const embedded = await startEmbedded({ dataDir, log: log.child({ room: 'database' }), onLost: onFatal })
  stack.defer(() => embedded.stop())
  return { appUrl: embedded.appUrl, ownerUrl: embedded.ownerUrl, isShared: false }
}
