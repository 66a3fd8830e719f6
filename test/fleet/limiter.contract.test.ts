/** What every limiter keeps, run against each of them; in a Redis Cluster: redis-cluster.faults.ts. */
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import type { CreateLimiter } from '../../src/fleet/limiter.ts'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisLimiters } from '../../src/fleet/redis-limiter.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { describeLimiter, describeSharedLimiter } from './limiter.contract.ts'

const log = createLog('silent')
const redis = hasRedis ? await testRedis() : undefined

async function openShared(): Promise<CreateLimiter> {
  const connection = await connectRedis(redis!.url, log)
  onTestFinished(() => connection.close())
  return createRedisLimiters({ redis: connection, log, registry: new Registry() })
}

describeLimiter('in memory', async () => createMemoryLimiter)
describeLimiter('in Redis', openShared, hasRedis)
describeSharedLimiter('one Redis', openShared, hasRedis)
