/**
 * The bus between processes that share a Redis: one channel, listened to on a connection of its own. Who listens to what is known in each
 * process, so thousands of topics are one subscription. In a cluster the channel is sharded (SPUBLISH, SSUBSCRIBE): it lives at the node that
 * has its slot, and the other nodes carry nothing.
 *
 * While Redis is away, rings are lost and nothing waits. Nobody is rung when it is back: all who listen look by themselves, most of them
 * each second, and thousands of feeds would look at once.
 */
import { Redis } from 'ioredis'
import type { Logger } from '../log.ts'
import { createBatchedBus } from './batched-bus.ts'
import type { Bus } from './bus.ts'
import { keepListening } from './keep-listening.ts'
import type { Listening } from './keep-listening.ts'
import { listenToRedis } from './redis-ear.ts'
import type { RedisClient, RedisConnection } from './redis-connection.ts'

const CHANNEL = 'sluice:bus'

export interface RedisBusOptions {
  readonly redis: Pick<RedisConnection, 'client' | 'reached'>
  readonly log: Logger
}

export interface RedisBus extends Bus {
  /** settles when it listens, and again after each time the connection was lost */
  listening(): Promise<void>
}

/** Listens in the background: a Redis that is not there yet is no error. */
export function createRedisBus({ redis, log }: RedisBusOptions): RedisBus {
  const bus = createBatchedBus({ send, log })
  let listens = false
  let isAway = false
  let closed = false

  function tellAway(why: string): void {
    if (!isAway && !closed)
      log.warn({ why }, 'the bus lost Redis: until it is back, what other processes did is seen by slow looks')
    isAway = true
  }
  function tellBack(): void {
    if (!listens || redis.client?.status !== 'ready') return
    if (isAway) log.info('the bus has Redis again')
    isAway = false
  }

  async function send(messages: readonly string[]): Promise<void> {
    const { client } = redis
    // One that is still connecting would take them, and keep them until it has connected.
    if (client?.status !== 'ready') return tellAway('no connection')
    try {
      await Promise.all(messages.map((message) => publish(client, message)))
      tellBack()
    } catch (error) {
      tellAway((error as Error).message)
    }
  }

  function listenAt(client: RedisClient): Listening {
    client.on('ready', tellBack)
    return keepListening({
      open: () => listenToRedis(client, CHANNEL, { isSharded: true, receive: bus.receive }),
      onListening() {
        listens = true
        tellBack()
      },
      onLost(error) {
        listens = false
        tellAway(error instanceof Error ? error.message : 'no connection')
      },
    })
  }

  const listener = redis.reached.then((client) => (closed ? undefined : listenAt(client)))

  return {
    ring: (topic, payload) => bus.ring(topic, payload),
    listen: (topic, callback) => bus.listen(topic, callback),
    listening: async () => (await listener)?.listening(),
    async close() {
      closed = true
      redis.client?.off('ready', tellBack)
      await bus.close()
      if (redis.client) await (await listener)?.stop()
    },
  }
}

const publish = (client: RedisClient, message: string): Promise<unknown> =>
  client instanceof Redis ? client.publish(CHANNEL, message) : client.spublish(CHANNEL, message)
