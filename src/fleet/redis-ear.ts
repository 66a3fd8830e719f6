/** A connection to Redis that listens to one channel: in a cluster, at the node that has the channel. */
import { Redis } from 'ioredis'
import type { Cluster, RedisOptions } from 'ioredis'
import type { Ear } from './keep-listening.ts'
import type { RedisClient } from './redis-connection.ts'

/** A connection that is open at one end only says nothing: it is asked, and lost when it owes the answer for too long. */
const PING_EVERY_MS = 10_000

/** Whoever opens it again when it is lost asks the cluster, or the sentinels, again. */
const ONCE = {
  ...{ retryStrategy: null, sentinelRetryStrategy: () => null },
  ...{ autoResubscribe: false, enableOfflineQueue: false, lazyConnect: true },
} satisfies RedisOptions

export interface ListenOptions {
  /** In a cluster, whether it is published by SPUBLISH; what PUBLISH says, all nodes hear. */
  readonly isSharded: boolean
  /** gets each message */
  receive(message: string): void
}

/** Resolves when it listens. */
export async function listenToRedis(client: RedisClient, channel: string, options: ListenOptions): Promise<Ear> {
  const isOne = client instanceof Redis
  const isSharded = !isOne && options.isSharded
  const redis = isOne ? client.duplicate(ONCE) : (await nodeOf(client, channel)).duplicate(ONCE)
  const lost = new Promise<void>((resolve) => {
    redis.once('end', resolve)
    // the node says that the channel lives elsewhere now
    redis.once('moved', resolve)
  })
  // emitted for that, and for a subscription that was refused since it does
  if (isSharded) redis.on('moved', () => client.refreshSlotsCache())
  // `client` cannot reach it either, and says why
  redis.on('error', () => undefined)
  redis.on(isSharded ? 'smessage' : 'message', (_channel: string, message: string) => options.receive(message))
  try {
    await redis.connect()
    await (isSharded ? redis.ssubscribe(channel) : redis.subscribe(channel))
  } catch (error) {
    redis.disconnect()
    throw error
  }
  const pinging = setInterval(() => void redis.ping().catch(() => undefined), PING_EVERY_MS)
  return {
    lost,
    close() {
      clearInterval(pinging)
      redis.disconnect()
    },
  }
}

/** The node that has a channel, as far as is known here; when that is wrong, the node says so. */
async function nodeOf(cluster: Cluster, channel: string): Promise<Redis> {
  const slot = await cluster.cluster('KEYSLOT', channel)
  const key = cluster.slots[slot]?.[0]
  const node = cluster.nodes('master').find(({ options: { host, port } }) => `${host}:${port}` === key)
  if (!node) throw new Error('no node has the channel')
  return node
}
