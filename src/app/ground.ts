/** What every room of the process stands on: its configuration, log, database, metrics, and what it shares with other processes. */
import type { Config } from '../config/config-types.ts'
import type { Database, DatabaseOptions } from '../database/database.ts'
import type { Bus } from '../fleet/bus.ts'
import type { CreateLimiter } from '../fleet/limiter.ts'
import { createLocks, createSingleton } from '../fleet/lock.ts'
import type { Locks, Singleton } from '../fleet/lock.ts'
import type { Dispatch } from '../fleet/dispatch.ts'
import { openFleet } from '../fleet/open-fleet.ts'
import { createPostgresLocks } from '../fleet/postgres-locks.ts'
import type { RedisConnection } from '../fleet/redis-connection.ts'
import type { Logger } from '../log.ts'
import { openTracing } from '../tracing.ts'
import { openAppDatabase } from './database.ts'
import type { AppDatabaseOptions } from './database.ts'
import type { Ports } from './ports.ts'

/** How long nobody does it after the process that did has died. */
const UPKEEP_MS = 30_000

export interface Ground extends Ports {
  config: Config
  log: Logger
  development: boolean
  database: Database
  bus: Bus
  createLimiter: CreateLimiter
  dispatch: Dispatch
  locks: Locks
  /** what one process does for all that share the database: removing what is over */
  upkeep: Singleton
  /** of a fleet that has one */
  redis: RedisConnection | undefined
  /** what is opened is closed with it, last in, first out */
  stack: AsyncDisposableStack
}

export async function openGround(
  options: AppDatabaseOptions,
  entities: DatabaseOptions['entities'],
  ports: Ports,
  stack: AsyncDisposableStack,
): Promise<Ground> {
  const { config, log } = options
  const { database, appUrl } = await openAppDatabase(options, entities, ports.health, stack)
  const { registry } = ports
  const fleet = await openFleet({
    ...{
      redisUrl: config.fleet.redisUrl,
      dispatch: config.fleet.dispatch,
      database,
      sharedDatabase: config.database.directUrl ?? (config.database.url && appUrl),
    },
    ...{ registry, log: log.child({ room: 'fleet' }) },
  })
  stack.defer(() => fleet.close())
  // beside what it removes: nobody who has a password of Redis keeps it from being done
  const upkeep = createSingleton(createLocks(createPostgresLocks(database), log), 'upkeep', UPKEEP_MS)
  stack.defer(() => upkeep.stop())
  openTracing()
  const { bus, createLimiter, dispatch, locks, redis } = fleet
  const development = config.nodeEnv !== 'production'
  return { ...ports, config, log, development, database, bus, createLimiter, dispatch, locks, upkeep, redis, stack }
}
