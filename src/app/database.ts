/** The database of the process: the one that is configured or the embedded one, migrated, opened; and what it waits for. */
import { migrations, repeatables } from '../../migrations/list.ts'
import type { Config } from '../config/config-types.ts'
import { requireSafeServer } from '../database/check-server.ts'
import { openDatabase } from '../database/database.ts'
import type { Database, DatabaseOptions } from '../database/database.ts'
import { startEmbedded } from '../database/embedded.ts'
import { checkMigrations, migrateDatabase } from '../database/migrate.ts'
import { storeAges } from '../engine/retention.ts'
import type { Logger } from '../log.ts'

export interface AppDatabaseOptions {
  config: Config
  log: Logger
  /** what would stop the process: the embedded database is gone and does not come back */
  onFatal(error: Error): void
}

/** Closed with the stack. `appUrl`: as the application's role sees it. */
export async function openAppDatabase(
  options: AppDatabaseOptions,
  entities: DatabaseOptions['entities'],
  stack: AsyncDisposableStack,
): Promise<{ database: Database; appUrl: string }> {
  const { config, log } = options
  const { appUrl } = await openMigrated(options, stack)
  const database = await openDatabase({ connection: appUrl, entities, poolSize: config.database.poolSize, log })
  stack.defer(() => database.close())
  if (config.database.url) await requireSafeServer(database, { production: config.nodeEnv === 'production', log })
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
  const { pending } = await checkMigrations(database, { migrations, repeatables })
  return pending.map((name) => `migration ${name}`)
}

export interface MigratedDatabase {
  appUrl: string
  ownerUrl: string
  applied: string[]
}

/** Brought to this program's schema; the embedded one is stopped with the stack. */
export async function openMigrated(options: AppDatabaseOptions, stack: AsyncDisposableStack): Promise<MigratedDatabase> {
  const { appUrl, ownerUrl } = await findDatabase(options, stack)
  const appRole = decodeURIComponent(new URL(appUrl).username) || 'sluice_app'
  const settle = [storeAges(options.config.retention)]
  const plan = { migrations, repeatables, settle }
  const applied = await migrateDatabase({ ...plan, connection: ownerUrl, appRole, log: options.log })
  return { appUrl, ownerUrl, applied }
}

async function findDatabase(
  { config, log, onFatal }: AppDatabaseOptions,
  stack: AsyncDisposableStack,
): Promise<{ appUrl: string; ownerUrl: string }> {
  const { url, ownerUrl, dataDir } = config.database
  if (url) return { appUrl: url, ownerUrl: ownerUrl ?? url }
  const embedded = await startEmbedded({ dataDir, log: log.child({ room: 'database' }), onLost: onFatal })
  stack.defer(() => embedded.stop())
  return embedded
}
