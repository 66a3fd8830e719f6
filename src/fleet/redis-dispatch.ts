/**
 * Dispatch by BullMQ on Redis: a queue for each pool of workers, a job for each offer of an execution or a step. A job is a doorbell: it has no payload but its
 * id, is over as soon as the claim that it led to is decided, and leaves nothing behind. Whatever Redis loses, workers find by looking.
 */
import { Queue } from 'bullmq'
import type { Registry } from 'prom-client'
import type { Logger } from '../log.ts'
import type { Bus } from './bus.ts'
import { countOffers } from './dispatch-metrics.ts'
import type { Dispatch, Offer } from './dispatch.ts'
import { createPeers, stepsIn } from './peers.ts'
import { WORK_TOPIC } from './postgres-dispatch.ts'
import type { RedisClient, RedisConnection } from './redis-connection.ts'
import { jobIdOf, QUEUE, queuePrefix, serveQueues } from './redis-doorbells.ts'

/** How seldom workers look by themselves while all is well: what it costs when Redis was emptied. */
const LOOK_EVERY_MS = 5_000
/** After trouble BullMQ takes some seconds to be back: so long they look as if there were no Redis. */
const SETTLING_MS = 10_000
/** Offers that wait to be sent. */
const MAX_PENDING = 10_000
/** How often workers are told to look for what was too much. */
const RING_EVERY_MS = 1_000
/** Jobs sent at once. */
const BATCH = 500
/** Beyond so many jobs of a pool more would only fill Redis, about 1 kB each. */
const MAX_WAITING = 20_000
const COUNT_EVERY_MS = 1_000
/** Jobs of the highest priority have the number 1. */
const LOWEST_PRIORITY = 100

export interface RedisDispatchOptions {
  readonly redis: RedisConnection
  /** rung for what no queue takes; also by processes that dispatch without Redis, during a roll-out */
  readonly bus: Pick<Bus, 'ring' | 'listen'>
  readonly log: Logger
  readonly registry: Registry
  /** 5,000 */
  readonly lookEveryMs?: number
}

export function createRedisDispatch(options: RedisDispatchOptions): Dispatch {
  const { redis, bus, log, registry, lookEveryMs = LOOK_EVERY_MS } = options
  const counters = countOffers(registry)
  const peers = createPeers(bus)
  const queues = new Map<string, { queue: Queue; full: boolean; countedAt: number }>()
  const pending: Offer[] = []
  /** by pool, when workers were told to look */
  const rungAt = new Map<string, number>()
  let flushing: Promise<void> | undefined
  let troubledUntil = 0
  let isAway = false
  let closed = false

  function tellAway(why: string): void {
    troubledUntil = performance.now() + SETTLING_MS
    if (!isAway && !closed) log.warn({ why }, 'dispatch lost Redis: until it is back, workers look for work by themselves')
    isAway = true
  }
  const onClose = (): void => tellAway('no connection')
  void redis.reached.then((client) => closed || client.on('close', onClose))

  async function flush(): Promise<void> {
    // after this turn: offers of one turn go together
    await new Promise(setImmediate)
    while (pending.length > 0) {
      const offers = pending.splice(0, BATCH)
      for (const [pool, of] of Map.groupBy(offers, (offer) => offer.pool)) await send(pool, of)
    }
    flushing = undefined
  }

  async function send(pool: string, offers: readonly Offer[]): Promise<void> {
    const { client } = redis
    // one that is still connecting would keep them
    if (client?.status !== 'ready') return lose(offers, 'no connection')
    try {
      const { queue, full } = await openQueue(client, pool)
      if (full) return leave(pool, offers.length)
      await queue.addBulk(offers.map(toJob))
      counters.queued(offers.length)
      if (isAway) log.info('dispatch has Redis again')
      isAway = false
    } catch (error) {
      // a queue that could not be set up stays so
      void queues.get(pool)?.queue.close().catch(() => undefined) // prettier-ignore
      queues.delete(pool)
      lose(offers, (error as Error).message)
    }
  }

  /** Too many for a queue: workers look for them, and go on as long as they find some. */
  function leave(pool: string, offers: number): void {
    counters.lost(offers)
    if (performance.now() - (rungAt.get(pool) ?? -Infinity) < RING_EVERY_MS) return
    rungAt.set(pool, performance.now())
    bus.ring(WORK_TOPIC, pool)
  }

  function lose(offers: readonly Offer[], why: string): void {
    counters.lost(offers.length)
    tellAway(why)
  }

  /** Their jobs are gone, and those who have room for them would find them in a second only. */
  function leftSteps(pool: string, steps: number): void {
    for (let left = steps; left > 0 && peers.wakeOne(stepsIn(pool)) === 'woken'; left--);
  }

  async function openQueue(client: RedisClient, pool: string): Promise<{ queue: Queue; full: boolean }> {
    const entry = queues.get(pool) ?? { queue: makeQueue(client, pool), full: false, countedAt: 0 }
    queues.set(pool, entry)
    if (performance.now() - entry.countedAt > COUNT_EVERY_MS) {
      entry.countedAt = performance.now()
      entry.full = (await entry.queue.getJobCountByTypes('prioritized', 'wait')) >= MAX_WAITING
    }
    return entry
  }

  function makeQueue(client: RedisClient, pool: string): Queue {
    const queue = new Queue(QUEUE, {
      ...{ connection: client, prefix: queuePrefix(pool), skipMetasUpdate: true },
      // nobody listens to BullMQ's events
      streams: { events: { maxLen: 1 } },
    })
    // what fails is told where it fails
    queue.on('error', () => undefined)
    return queue
  }

  return {
    offer(offer) {
      if (closed) return
      if (pending.length >= MAX_PENDING) return leave(offer.pool, 1)
      pending.push(offer)
      flushing ??= flush()
    },
    serve(pools, taker) {
      const serving = serveQueues({ redis, pools, taker, taken: counters.taken, leftSteps, troubled: tellAway, log })
      const ofSteps = peers.join(pools.map(stepsIn), taker.hasRoomForSteps, taker.look)
      const unlisten = bus.listen(WORK_TOPIC, (pool) => (pool === undefined || pools.includes(pool)) && taker.look())
      return {
        wake: serving.wake,
        async stop() {
          unlisten()
          ofSteps.leave()
          await serving.stop()
        },
      }
    },
    get lookEveryMs() {
      return redis.client?.status !== 'ready' || performance.now() < troubledUntil ? 0 : lookEveryMs
    },
    async close() {
      closed = true
      peers.close()
      redis.client?.off('close', onClose)
      await flushing
      await Promise.allSettled([...queues.values()].map(({ queue }) => queue.close()))
    },
  }
}

function toJob(offer: Offer) {
  return {
    name: QUEUE,
    data: null,
    opts: {
      jobId: jobIdOf(offer),
      priority: 1 + LOWEST_PRIORITY - offer.priority,
      ...{ removeOnComplete: true, removeOnFail: true },
    },
  }
}
