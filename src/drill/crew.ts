/** The processes of a drill, an API and workers, each behind a proxy of its own to PostgreSQL, all behind the same to Redis. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DRILL_POOL } from './flow.ts'
import { createMember } from './member.ts'
import type { Member } from './member.ts'
import { openProxy, together } from './proxy.ts'
import type { OpenUpstream, Proxy, Way } from './proxy.ts'
import { openRedisWay } from './redis-way.ts'
import type { Site } from './site.ts'
import { throughProxy, toPostgres } from './upstream.ts'

export interface Crew {
  readonly api: Member
  /** stays the same, however often the API is started */
  readonly apiUrl: string
  readonly workers: readonly Member[]
  readonly redis?: Way
  /** Resolves when they are ready. */
  startWorkers(): Promise<void>
  /** who ended though nobody had asked for it, and how */
  readonly lost: readonly string[]
}

export interface CrewOptions {
  readonly site: Site
  readonly workers: number
  /** what the drill's steps may call */
  readonly witnessAddress: string
  /** where the processes print to */
  readonly directory: string
}

/** No limit stands in the way of a load, and a load is nothing unusual. */
const MANY = '1000000'
const UNLIMITED = {
  SLUICE_LIMIT_API_PER_MINUTE: MANY,
  SLUICE_LIMIT_RUNNING_PER_INITIATOR: MANY,
  SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '100',
  SLUICE_SECURITY_UNUSUAL_REQUESTS: '0',
  SLUICE_SECURITY_UNUSUAL_STARTS: '0',
}
const POOL_SIZE = 10

/** To PostgreSQL, of the API and the workers; one each is the bus, where there is no Redis. */
export const connectionsOf = (workers: number): number => (workers + 1) * (POOL_SIZE + 1)

/** The API is ready when it resolves; all are stopped with the stack. */
export async function startCrew(
  { site, workers, witnessAddress, directory }: CrewOptions,
  stack: AsyncDisposableStack,
): Promise<Crew> {
  const lost: string[] = []
  const open = async (upstream: OpenUpstream): Promise<Proxy> => {
    const proxy = await openProxy(upstream)
    stack.defer(() => proxy.close())
    return proxy
  }
  const redis = site.redisUrl === undefined ? undefined : await openRedisWay(site.redisUrl, open)
  const make = async (name: string, command: 'serve' | 'work'): Promise<Member> => {
    const ways = await Promise.all(
      Object.entries(site.databases).map(async ([variable, url]) => {
        const proxy = await open(toPostgres(url))
        return { proxy, variable, url: throughProxy(url, proxy.port) }
      }),
    )
    const member = createMember({
      ...{ name, command, database: together(ways.map(({ proxy }) => proxy)), logFile: join(directory, `${name}.log`) },
      environment: {
        ...site.environment,
        ...UNLIMITED,
        ...{ HOST: '127.0.0.1', PORT: '0', SLUICE_LOG_LEVEL: 'info', SLUICE_DATABASE_POOL_SIZE: String(POOL_SIZE) },
        SLUICE_OUTBOUND_ALLOW: witnessAddress,
        // no balancer sends anybody here
        SLUICE_SHUTDOWN_DELAY_MS: '0',
        // workers that are to be killed do nothing that others wait for
        ...{ SLUICE_POOLS: DRILL_POOL, SLUICE_POOLS_ALLOWED: DRILL_POOL, SLUICE_CHORES: 'false' },
        // also without the fleet's NODE_ENV nothing is put into its database but what a drill is about
        SLUICE_EXAMPLES: 'false',
        ...Object.fromEntries(ways.map(({ variable, url }) => [variable, url])),
        ...(redis && { REDIS_URL: redis.url }),
      },
      onLost: (who, how) => lost.push(`${who} ended by itself: ${how}`),
    })
    stack.defer(() => member.stop())
    return member
  }
  const api = await make('api', 'serve')
  const made = await Promise.all(Array.from({ length: workers }, (_, index) => make(`worker-${index + 1}`, 'work')))
  // it migrates an empty database, once
  await api.start()
  const front = await open(async () => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    await once(socket, 'connect')
    return socket
  })
  return {
    ...{ api, apiUrl: `http://127.0.0.1:${front.port}/graphql`, workers: made, lost, ...(redis && { redis }) },
    startWorkers: async () => void (await Promise.all(made.map((worker) => worker.start()))),
  }
}
