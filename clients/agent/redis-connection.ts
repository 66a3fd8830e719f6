/** An agent's connection to Redis, which may be one server, a cluster, or a master that sentinels name: it waits for it as long as it takes. */
import { Cluster, Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import { tryAgainMs } from './pause.ts'
import { loginOf, redisAddress, sentinelOptions } from './redis-address.ts'
import type { RedisPlace } from './redis-address.ts'

export type RedisClient = Redis | Cluster

/** One that owes an answer for this long, which is longer than anything blocks, is gone: it is reached anew. */
const SILENT_FOR_MS = 15_000
/** How often it is asked which node of a cluster has what; it is also asked when a node says that it has something no more. */
const LOOK_AT_CLUSTER_EVERY_MS = 5_000
/** Ten a second, while a cluster makes a replica master. */
const CLUSTER_TRIES = 600

/** A sentinel that says nothing for this long is passed by. */
const ASKED = { connectTimeout: 2_000, sentinelCommandTimeout: 2_000, sentinelRetryStrategy: tryAgainMs } satisfies RedisOptions

const PATIENT = { maxRetriesPerRequest: null, socketTimeout: SILENT_FOR_MS } satisfies RedisOptions

/** Resolves when it was reached; throws at a malformed URL. `rediss` verifies certificates. `closing` ends it, also before. */
export async function connectRedis(url: string, onError: (error: unknown) => void, closing: AbortSignal): Promise<RedisClient> {
  const address = redisAddress(url)
  const tell = ({ message }: Error): void => onError(new Error(`Redis: ${message}`))
  closing.throwIfAborted()
  if (address.kind === 'cluster') return endedBy(closing, clusterOf(address.places, loginOf(address), tell))
  const options: RedisOptions = {
    ...{ ...PATIENT, lazyConnect: true, retryStrategy: tryAgainMs },
    // what stands behind the address is the master no more: who is it now?
    reconnectOnError(error) {
      if (!error.message.startsWith('READONLY')) return false
      tell(error)
      return 2
    },
  }
  const first =
    address.kind === 'one' ? new Redis(url, options) : new Redis({ ...options, ...ASKED, ...sentinelOptions(address) })
  endedBy(closing, first).on('error', tell)
  // it is tried again until it is there
  await first.connect().catch(() => undefined)
  closing.throwIfAborted()
  if (address.kind === 'sentinel' || !(await isOfCluster(first))) return first
  const { host, port, username, password, tls } = first.options
  const cluster = endedBy(closing, clusterOf([{ host: host!, port: port! }], { username, password, tls }, tell))
  first.disconnect()
  return cluster
}

/** Another one, to block; it is away when the first one is, which says so. */
export function duplicate(redis: RedisClient, closing: AbortSignal): RedisClient {
  // each has parameters of its own, so that TypeScript cannot call what is either of them
  const other = redis instanceof Redis ? redis.duplicate() : redis.duplicate()
  other.on('error', () => undefined)
  return endedBy(closing, other)
}

function endedBy<Client extends RedisClient>(closing: AbortSignal, client: Client): Client {
  if (closing.aborted) client.disconnect()
  closing.addEventListener('abort', () => client.disconnect(), { once: true })
  return client
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

type Login = Pick<RedisOptions, 'username' | 'password' | 'tls'>

/** All the cluster that these nodes belong to. */
function clusterOf(nodes: readonly RedisPlace[], login: Login, tell: (error: Error) => void): Cluster {
  const cluster = new Cluster([...nodes], {
    redisOptions: { ...PATIENT, ...login },
    clusterRetryStrategy: tryAgainMs,
    slotsRefreshInterval: LOOK_AT_CLUSTER_EVERY_MS,
    maxRedirections: CLUSTER_TRIES,
    // nodes that do not agree yet send it to and fro
    retryDelayOnMoved: 100,
    // names stay names: certificates are made out to them
    dnsLookup: (name, done) => done(null, name),
  })
  cluster.on('error', tell)
  return cluster
}
