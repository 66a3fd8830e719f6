/** Where limits are counted: in Redis where there is one, by all processes of the fleet together; else in this process. */
import type { Registry } from 'prom-client'
import type { Logger } from '../log.ts'
import type { CreateLimiter } from './limiter.ts'
import { createMemoryLimiter } from './memory-limiter.ts'

export interface LimitersOptions {
  /** none = this process counts for itself */
  readonly redisUrl: string | undefined
  readonly log: Logger
  readonly registry: Registry
}

export async function openLimiters(options: LimitersOptions): Promise<{ create: CreateLimiter; close(): void }> {
  const { redisUrl, log, registry } = options
  if (!redisUrl) return { create: createMemoryLimiter, close: () => undefined }
  // read in here: most servers have no Redis, and its client takes 6 MB
  const { connectRedis } = await import('./redis-connection.ts')
  const { createRedisLimiters } = await import('./redis-limiter.ts')
  const redis = await connectRedis(redisUrl, log)
  return { create: createRedisLimiters({ redis, registry, log }), close: () => redis.disconnect() }
}
