/** What processes share besides the database: in Redis where there is one. Else PostgreSQL rings, and each process counts for itself. */
import type { Registry } from 'prom-client'
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
import type { Bus } from './bus.ts'
import type { Dispatch } from './dispatch.ts'
import type { CreateLimiter } from './limiter.ts'
import { createLocalBus } from './local-bus.ts'
import { createMemoryLimiter } from './memory-limiter.ts'
import { createPostgresBus } from './postgres-bus.ts'
import { createPostgresDispatch } from './postgres-dispatch.ts'
import { createLocks } from './lock.ts'
import type { Locks } from './lock.ts'
import { createPostgresLocks } from './postgres-locks.ts'
import type { RedisConnection } from './redis-connection.ts'

export interface FleetOptions {
  readonly redisUrl: string | undefined
  /** by what ready executions find workers; `redis` needs one */
  readonly dispatch: 'postgres' | 'redis'
  readonly database: Pick<Database, 'query'>
  /** URL of a database that other processes may use too; none = this one is alone with it */
  readonly sharedDatabase: string | undefined
  readonly log: Logger
  readonly registry: Registry
}

export interface Fleet {
  readonly bus: Bus
  readonly dispatch: Dispatch
  readonly locks: Locks
  readonly createLimiter: CreateLimiter
  /** undefined where there is none */
  readonly redis?: RedisConnection
  close(): Promise<void>
}

export async function openFleet(options: FleetOptions): Promise<Fleet> {
  const { redisUrl, database, sharedDatabase, log, registry } = options
  if (!redisUrl) {
    const bus = sharedDatabase ? createPostgresBus({ database, connection: sharedDatabase, log }) : createLocalBus(log)
    const dispatch = createPostgresDispatch(bus)
    const locks = createLocks(createPostgresLocks(database), log)
    return { bus, dispatch, locks, createLimiter: createMemoryLimiter, close: () => bus.close() }
  }
  // read in here: most servers have no Redis, and its client takes 6 MB
  const { connectRedis } = await import('./redis-connection.ts')
  const { createRedisBus } = await import('./redis-bus.ts')
  const { createRedisLimiters } = await import('./redis-limiter.ts')
  const { createRedisLocks } = await import('./redis-locks.ts')
  const redis = await connectRedis(redisUrl, log)
  const bus = createRedisBus({ redis, log })
  const byRedis = options.dispatch === 'redis' && (await import('./redis-dispatch.ts'))
  const dispatch = byRedis ? byRedis.createRedisDispatch({ redis, bus, log, registry }) : createPostgresDispatch(bus)
  return {
    bus,
    dispatch,
    locks: createLocks(createRedisLocks(redis), log),
    redis,
    createLimiter: createRedisLimiters({ redis, registry, log }),
    async close() {
      await dispatch.close()
      await bus.close()
      redis.close()
    },
  }
}
