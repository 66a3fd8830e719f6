/** An agent's connection to Redis, which may be one server or a cluster: it waits for it as long as it takes. */
import { Cluster, Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import { tryAgainMs } from './pause.ts'

export type RedisClient = Redis | Cluster

/** One that owes an answer for this long, which is longer than anything blocks, is gone: it is reached anew. */
const SILENT_FOR_MS = 15_000
/** How often it is asked which node of a cluster has what; it is also asked when a node says that it has something no more. */
const LOOK_AT_CLUSTER_EVERY_MS = 5_000
/** Ten a second, while a cluster makes a replica master. */
const CLUSTER_TRIES = 600

const PATIENT = { maxRetriesPerRequest: null, socketTimeout: SILENT_FOR_MS } satisfies RedisOptions

/** Resolves when it was reached. `rediss://` verifies the certificate. */
export async function connectRedis(url: string, onError: (error: unknown) => void): Promise<RedisClient> {
  const tell = ({ message }: Error): void => onError(new Error(`Redis: ${message}`))
  const first = new Redis(url, {
    ...{ ...PATIENT, lazyConnect: true, retryStrategy: tryAgainMs },
    // what stands behind the address is the master no more: who is it now?
    reconnectOnError(error) {
      if (!error.message.startsWith('READONLY')) return false
      tell(error)
      return 2
    },
  })
  first.on('error', tell)
  // it is tried again until it is there
  await first.connect().catch(() => undefined)
  if (!(await isOfCluster(first))) return first
  const cluster = clusterOf(first)
  cluster.on('error', tell)
  first.disconnect()
  return cluster
}

/** Another one, to block; it is away when the first one is, which says so. */
export function duplicate(redis: RedisClient): RedisClient {
  // each has parameters of its own, so that TypeScript cannot call what is either of them
  const other = redis instanceof Redis ? redis.duplicate() : redis.duplicate()
  other.on('error', () => undefined)
  return other
}

async function isOfCluster(redis: Redis): Promise<boolean> {
  try {
    return /^cluster_enabled:1/m.test(await redis.info('cluster'))
  } catch (error) {
    // it may not be asked (an ACL), but it is there
    if (error instanceof Error && error.name === 'ReplyError') return false
    throw error
  }
}

/** All the cluster that a node belongs to. */
const clusterOf = ({ options: { host, port, username, password, tls } }: Redis): Cluster =>
  new Cluster([{ host, port }], {
    redisOptions: { ...PATIENT, username, password, tls },
    clusterRetryStrategy: tryAgainMs,
    slotsRefreshInterval: LOOK_AT_CLUSTER_EVERY_MS,
    maxRedirections: CLUSTER_TRIES,
    // nodes that do not agree yet send it to and fro
    retryDelayOnMoved: 100,
    // names stay names: certificates are made out to them
    dnsLookup: (name, done) => done(null, name),
  })
