/** What every room of the process stands on: its configuration, log, database, metrics, and what it shares with other processes. */
import { Registry } from 'prom-client'
import type { Config } from '../config/config-types.ts'
import type { Database, DatabaseOptions } from '../database/database.ts'
import type { Bus } from '../fleet/bus.ts'
import type { CreateLimiter } from '../fleet/limiter.ts'
import { openFleet } from '../fleet/open-fleet.ts'
import type { RedisConnection } from '../fleet/redis-connection.ts'
import type { Logger } from '../log.ts'
import { openTracing } from '../tracing.ts'
import { openAppDatabase } from './database.ts'
import type { AppDatabaseOptions } from './database.ts'

export interface Ground {
  config: Config
  log: Logger
  development: boolean
  database: Database
  registry: Registry
  bus: Bus
  createLimiter: CreateLimiter
  /** of a fleet that has one */
  redis: RedisConnection | undefined
  /** what is opened is closed with it, last in, first out */
  stack: AsyncDisposableStack
}

export async function openGround(
  options: AppDatabaseOptions,
  entities: DatabaseOptions['entities'],
  stack: AsyncDisposableStack,
): Promise<Ground> {
  const { config, log } = options
  const { database, appUrl } = await openAppDatabase(options, entities, stack)
  const registry = new Registry()
  const fleet = await openFleet({
    ...{ redisUrl: config.fleet.redisUrl, database, sharedDatabase: config.database.url && appUrl },
    ...{ registry, log: log.child({ room: 'fleet' }) },
  })
  stack.defer(() => fleet.close())
  openTracing()
  const { bus, createLimiter, redis } = fleet
  return { config, log, development: config.nodeEnv !== 'production', database, registry, bus, createLimiter, redis, stack }
}
