/**
 * The connection to Redis, which may be one server, a cluster, or a master that sentinels name. It may come and go: commands fail at once while it is away, and nothing
 * waits for it.
 */
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { Cluster, Redis, SentinelConnector } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import { loginOf, redisAddress, sentinelOptions } from '../../clients/agent/redis-address.ts'
import type { RedisAddress, RedisPlace } from '../../clients/agent/redis-address.ts'
import type { Logger } from '../log.ts'

export type RedisClient = Redis | Cluster

export interface RedisConnection {
  /** undefined until Redis was reached for the first time: only then it is known what it is */
  readonly client: RedisClient | undefined
  /** Settles with the client when Redis was reached for the first time; never, if it was not. */
  readonly reached: Promise<RedisClient>
  close(): void
}

/** A Redis that answers later than this is as good as away. */
const ANSWER_WITHIN_MS = 500
/** One that owes an answer for this long loses its connection: what is sent to it meanwhile is kept in memory. */
const SILENT_FOR_MS = 2_000
const CONNECT_WITHIN_MS = 2_000
const RECONNECT_MS = { step: 100, longest: 2_000 }
/** How often a process asks which node of a cluster has what; it also asks when a node says that it has something no more. */
const LOOK_AT_CLUSTER_EVERY_MS = 5_000
/** A command goes to a node that is just connecting, or has just moved its keys; where none takes it, it fails. */
const CLUSTER_TRIES = 4

const IMPATIENT = {
  commandTimeout: ANSWER_WITHIN_MS,
  socketTimeout: SILENT_FOR_MS,
  connectTimeout: CONNECT_WITHIN_MS,
  // a command that was lost with its connection is not sent again: counting late would be as wrong as counting twice
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
} satisfies RedisOptions

const retryStrategy = (attempt: number): number => Math.min(attempt * RECONNECT_MS.step, RECONNECT_MS.longest)

/** They are asked who is master, one after the other, for as long as it takes. */
const ASKED = { sentinelCommandTimeout: CONNECT_WITHIN_MS, sentinelRetryStrategy: retryStrategy } satisfies RedisOptions

/** Resolves when it is connected, or when that failed once: it goes on trying. `rediss` verifies certificates. Throws at a malformed URL. */
export async function connectRedis(url: string, log: Logger): Promise<RedisConnection> {
  const address = redisAddress(url)
  const reached = Promise.withResolvers<RedisClient>()
  const first = firstClient(url, address)
  tellErrors(first, log)
  let open = first
  let client: RedisClient | undefined

  async function recognise(): Promise<void> {
    if (client) return
    if (first instanceof Redis && address.kind === 'one' && (await isOfCluster(first))) {
      const { host, port, username, password, tls } = first.options
      open = clusterOf([{ host: host!, port: port! }], { username, password, tls })
      tellErrors(open, log)
      await once(open, 'ready', { signal: AbortSignal.timeout(CONNECT_WITHIN_MS) }).catch(() => undefined)
    }
    // a node that is just connecting would refuse what comes first
    if (open instanceof Cluster) await Promise.allSettled(open.nodes('master').map((node) => node.ping()))
    if (open !== first) first.disconnect()
    client = open
    reached.resolve(open)
  }
  let recognising: Promise<void> | undefined
  // what cannot say now what it is loses its connection, and is asked when it is ready again
  first.on('ready', () => {
    recognising ??= recognise()
      .catch(() => first.disconnect(true))
      .finally(() => (recognising = undefined))
  })

  const failed = once(first, 'close', { signal: AbortSignal.timeout(CONNECT_WITHIN_MS) }).catch(() => undefined)
  await Promise.race([reached.promise, failed])
  return {
    get client() {
      return client
    },
    reached: reached.promise,
    close: () => open.disconnect(),
  }
}

/** A client of the same Redis that waits for it as long as it takes, for what blocks; to be closed by whoever asked for it. */
export function patientClient(client: RedisClient, log: Logger): RedisClient {
  const options = { commandTimeout: undefined, socketTimeout: undefined, maxRetriesPerRequest: null }
  const patient =
    client instanceof Redis
      ? client.duplicate({ ...options, enableOfflineQueue: true })
      : client.duplicate([], { redisOptions: options, enableOfflineQueue: true })
  tellErrors(patient, log)
  return patient
}

/** Of a cluster, as they call themselves. */
export function nodesOf(client: RedisClient): { host: string; port: number }[] {
  if (client instanceof Redis) return []
  return client.nodes('all').map(({ options: { host, port } }) => ({ host: host!, port: port! }))
}

/** A connection of its own to whoever is master now, as sentinels say. It sends nothing. */
export async function connectToMaster(url: string): Promise<Duplex> {
  const address = redisAddress(url)
  const asked = {
    ...ASKED,
    sentinelRetryStrategy: () => null,
    connectTimeout: CONNECT_WITHIN_MS,
    disconnectTimeout: CONNECT_WITHIN_MS,
  }
  const stream = await new SentinelConnector({ ...sentinelOptions(address), ...asked }).connect(() => undefined)
  await once(stream, address.tls ? 'secureConnect' : 'connect')
  return stream
}

function firstClient(url: string, address: RedisAddress): RedisClient {
  if (address.kind === 'cluster') return clusterOf(address.places, loginOf(address))
  const options = { ...IMPATIENT, retryStrategy, enableOfflineQueue: false, reconnectOnError: isReplicaNow }
  // what is asked of one server besides, its parameters say by the client's own names
  return address.kind === 'one' ? new Redis(url, options) : new Redis({ ...options, ...ASKED, ...sentinelOptions(address) })
}

/** What stands behind the address is the master no more: who is it now? In scripts, a Redis before 7 says it further behind. */
const isReplicaNow = ({ message }: Error): boolean => /\bREADONLY\b/.test(message)

async function isOfCluster(redis: Redis): Promise<boolean> {
  try {
    return /^cluster_enabled:1/m.test(await redis.info('cluster'))
  } catch (error) {
    // it may not be asked (an ACL), but it is there
    if (error instanceof Error && error.name === 'ReplyError') return false
    throw error
  }
}

/** All the cluster that these nodes belong to. */
function clusterOf(nodes: readonly RedisPlace[], login: Pick<RedisOptions, 'username' | 'password' | 'tls'>): Cluster {
  return new Cluster([...nodes], {
    redisOptions: { ...IMPATIENT, ...login },
    enableOfflineQueue: false,
    clusterRetryStrategy: retryStrategy,
    slotsRefreshInterval: LOOK_AT_CLUSTER_EVERY_MS,
    slotsRefreshTimeout: CONNECT_WITHIN_MS,
    maxRedirections: CLUSTER_TRIES,
    // names stay names: certificates are made out to them
    dnsLookup: (name, done) => done(null, name),
  })
}

function tellErrors(client: RedisClient, log: Logger): void {
  let told = false
  let inner: string | undefined
  client.on('ready', () => {
    told = false
    inner = undefined
  })
  // what a sentinel said, and what the last node did: the error that follows says no more than that all failed
  client.on('sentinelError', ({ message }: Error) => (inner = message))
  client.on('node error', ({ message }: Error) => (inner = message))
  // Without a listener an error would end the process. Only its message: an error of ioredis carries its command, AUTH too.
  client.on('error', ({ message }: Error) => {
    log[told ? 'debug' : 'warn']({ why: inner ?? message }, 'Redis cannot be reached')
    told = true
    inner = undefined
  })
}
