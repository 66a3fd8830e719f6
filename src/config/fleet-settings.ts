/** The settings of what processes share besides the database. */
import { shownRedis } from '../../clients/agent/redis-address.ts'
import type { FleetConfig } from './config-types.ts'
import { secret, setting } from './setting.ts'
import type { Settings } from './setting.ts'
import { oneOf, redisUrl, verifiedRedis } from './shapes.ts'

export const FLEET_SETTINGS: Settings<FleetConfig> = {
  redisUrl: secret(
    'REDIS_URL',
    '[Redis](operating.md#redis) of a fleet, for limits, the bus and agents: one server, Sentinel or Cluster; unset = PostgreSQL rings, and each process counts limits for itself.',
    redisUrl,
    verifiedRedis,
    shownRedis,
  ),
  agentsRedisUrl: secret(
    'SLUICE_AGENTS_REDIS_URL',
    '[Redis](operating.md#redis) of the agents, so that they need no password of `REDIS_URL`; unset = that one.',
    redisUrl,
    verifiedRedis,
    shownRedis,
  ),
  dispatch: setting(
    'SLUICE_DISPATCH',
    'By what ready executions find workers: `postgres`, or `redis`, which is queues of BullMQ at `REDIS_URL`.',
    'postgres',
    oneOf('postgres', 'redis'),
  ),
}
