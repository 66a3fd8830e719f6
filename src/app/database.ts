/** The database of the process: the one that is configured or the embedded one, migrated, opened; and what it waits for. */
import { migrations, repeatables } from '../../migrations/list.ts'
import type { Config } from '../config/config-types.ts'
import { requireSafeServer } from '../database/check-server.ts'
import { openDatabase, sqlState } from '../database/database.ts'
import { limitRole } from '../database/limit-role.ts'
import type { Database, DatabaseOptions } from '../database/database.ts'
import { startEmbedded } from '../database/embedded.ts'
import { checkMigrations, migrateDatabase } from '../database/migrate.ts'
import { untilComplete, whenReachable } from '../database/when-reachable.ts'
import { storeAges } from '../engine/retention.ts'
import type { Logger } from '../log.ts'
import type { Health } from './health.ts'

const INSUFFICIENT_PRIVILEGE = '42501'

export interface AppDatabaseOptions {
  config: Config
  log: Logger
  /** what would stop the process: the embedded database is gone and does not come back */
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
    const isMigrated = await migrateIfAllowed(options, found)
    if (directUrl) await limitRole(directUrl, log)
    const pooled = directUrl !== undefined
    const database = await openDatabase({ connection: appUrl, entities, poolSize, log, pooled })
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

/** What keeps the process from working; empty = nothing. */
export async function waitsFor(database: Database): Promise<string[]> {
  try {
    await database.ping()
  } catch {
    return ['database']
  }
  return pendingMigrations(database)
}

async function pendingMigrations(database: Database): Promise<string[]> {
  const { pending } = await checkMigrations(database, { migrations, repeatables })
  return pending.map((name) => `migration ${name}`)
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
  return migrateDatabase({ migrations, repeatables, settle, connection: ownerUrl, appRole, log })
}

async function findDatabase({ config, log, onFatal }: AppDatabaseOptions, stack: AsyncDisposableStack): Promise<Found> {
  const { url, ownerUrl, directUrl, dataDir } = config.database
  if (url) return { appUrl: url, ownerUrl: ownerUrl ?? directUrl ?? url, isShared: true }
  const embedded = await startEmbedded({ dataDir, log: log.child({ room: 'database' }), onLost: onFatal })
  stack.defer(() => embedded.stop())
  return { appUrl: embedded.appUrl, ownerUrl: embedded.ownerUrl, isShared: false }
}
