/**
 * The bus between processes that share a Redis: PUBLISH on one channel, SUBSCRIBE on a connection of its own. Who listens to what is
 * known in each process, so thousands of topics are one subscription.
 *
 * While Redis is away, rings are lost and nothing waits. Nobody is rung when it is back: all who listen look by themselves, most of them
 * each second, and thousands of feeds would look at once.
 */
import type { Redis } from 'ioredis'
import type { Logger } from '../log.ts'
import { createBatchedBus } from './batched-bus.ts'
import type { Bus } from './bus.ts'

const CHANNEL = 'sluice:bus'

export interface RedisBusOptions {
  /** publishes; the one that subscribes is made like it */
  readonly redis: Redis
  readonly log: Logger
}

export interface RedisBus extends Bus {
  /** settles when it listens, and again after each time the connection was lost */
  listening(): Promise<void>
}

/** Listens in the background: a Redis that is not there yet is no error. */
export function createRedisBus({ redis, log }: RedisBusOptions): RedisBus {
  const subscriber = redis.duplicate({ autoResubscribe: false })
  const bus = createBatchedBus({ send, log })
  let ready = Promise.withResolvers<void>()
  let listens = false
  let isAway = false
  let closed = false

  function tellAway(why: string): void {
    if (!isAway && !closed)
      log.warn({ why }, 'the bus lost Redis: until it is back, what other processes did is seen by slow looks')
    isAway = true
  }
  function tellBack(): void {
    if (!listens || redis.status !== 'ready') return
    if (isAway) log.info('the bus has Redis again')
    isAway = false
  }

  async function send(messages: readonly string[]): Promise<void> {
    // One that is still connecting would take them, and keep them until it has connected.
    if (redis.status !== 'ready') return tellAway('no connection')
    try {
      await Promise.all(messages.map((message) => redis.publish(CHANNEL, message)))
      tellBack()
    } catch (error) {
      tellAway((error as Error).message)
    }
  }

  async function subscribe(): Promise<void> {
    try {
      await subscriber.subscribe(CHANNEL)
      listens = true
      ready.resolve()
      tellBack()
    } catch (error) {
      tellAway((error as Error).message)
      if (!closed) subscriber.disconnect(true)
    }
  }

  function loseSubscription(): void {
    if (listens) ready = Promise.withResolvers()
    listens = false
    tellAway('no connection')
  }

  redis.on('ready', tellBack)
  subscriber.on('ready', () => void subscribe())
  subscriber.on('message', (_channel, message) => bus.receive(message))
  subscriber.on('close', loseSubscription)
  // `redis` cannot be reached either, and says why.
  subscriber.on('error', () => undefined)

  return {
    ring: (topic, payload) => bus.ring(topic, payload),
    listen: (topic, callback) => bus.listen(topic, callback),
    listening: () => ready.promise,
    async close() {
      closed = true
      redis.off('ready', tellBack)
      await bus.close()
      subscriber.disconnect()
    },
  }
}
