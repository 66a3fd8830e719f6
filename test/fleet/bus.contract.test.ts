/** What every bus keeps, run against each of them; between processes, the rings of one instance reach another. */
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Bus } from '../../src/fleet/bus.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createPostgresBus } from '../../src/fleet/postgres-bus.ts'
import { createRedisBus } from '../../src/fleet/redis-bus.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { testRedisCluster } from '../harness/redis-cluster.ts'
import { testDatabase } from '../harness/test-database.ts'

const silent = createLog('silent')
const { database, connection } = await testDatabase({ migrated: false })
const redisServer = hasRedis ? await testRedis() : undefined
const redisCluster = hasRedis ? await testRedisCluster() : undefined

async function openPostgresBus(): Promise<Bus> {
  const bus = createPostgresBus({ database, connection, log: silent })
  await bus.listening()
  return bus
}

async function openRedisBus(url: string): Promise<Bus> {
  const redis = await connectRedis(url, silent)
  onTestFinished(() => redis.close())
  const bus = createRedisBus({ redis, log: silent })
  await bus.listening()
  return bus
}

async function openClusterBus(): Promise<Bus> {
  await redisCluster!.ready
  return openRedisBus(redisCluster!.url)
}
const openServerBus = (): Promise<Bus> => openRedisBus(redisServer!.url)

const between = [
  { name: 'over PostgreSQL', open: openPostgresBus, openPeer: openPostgresBus, here: true },
  { name: 'over Redis', open: openServerBus, openPeer: openServerBus, here: hasRedis },
  { name: 'over a Redis Cluster', open: openClusterBus, openPeer: openClusterBus, here: hasRedis },
]
const local = {
  name: 'in one process',
  open: async (): Promise<Bus> => createLocalBus(silent),
  openPeer: async (bus: Bus): Promise<Bus> => bus,
  here: true,
}

for (const { name, open, openPeer, here } of [local, ...between])
  describe.skipIf(!here)(`the bus ${name}`, () => {
    async function openBus(): Promise<Bus> {
      const bus = await open()
      onTestFinished(() => bus.close())
      return bus
    }
    async function openBoth(): Promise<{ bus: Bus; peer: Bus }> {
      const bus = await openBus()
      const peer = await openPeer(bus)
      onTestFinished(() => peer.close())
      return { bus, peer }
    }

    test('a ring reaches every listener of its topic, and no other', async () => {
      const bus = await openBus()
      const heard: string[] = []
      bus.listen('other', () => heard.push('other'))
      bus.listen('topic', (payload) => heard.push(`first ${payload}`))
      const last = nextRing(bus, 'topic')
      bus.ring('topic', 'hello')
      expect(await last).toBe('hello')
      expect(heard).toEqual(['first hello'])
    })

    test('a ring reaches the listeners of another instance, with its payload', async () => {
      const { bus, peer } = await openBoth()
      const heard = nextRing(peer, 'topic')
      bus.ring('topic', 'añ😀')
      expect(await heard).toBe('añ😀')
    })

    test('a ring without a payload comes without one', async () => {
      const { bus, peer } = await openBoth()
      const heard = nextRing(peer, 'topic')
      bus.ring('topic')
      expect(await heard).toBeUndefined()
    })

    test('listeners are called after `ring` returned', async () => {
      const bus = await openBus()
      let returned = false
      const heard = new Promise<boolean>((resolve) => bus.listen('topic', () => resolve(returned)))
      bus.ring('topic')
      returned = true
      expect(await heard).toBe(true)
    })

    test('a listener that throws stops no other', async () => {
      const bus = await openBus()
      bus.listen('topic', () => {
        throw new Error('broken listener')
      })
      const heard = nextRing(bus, 'topic')
      bus.ring('topic', 'hello')
      expect(await heard).toBe('hello')
    })

    test('who stopped listening hears nothing, not even a ring on its way', async () => {
      const bus = await openBus()
      const heard: string[] = []
      const stop = bus.listen('topic', () => heard.push('stopped'))
      const last = nextRing(bus, 'topic')
      bus.ring('topic')
      stop()
      stop()
      await last
      expect(heard).toEqual([])
    })

    test('one function may listen twice, and each time stops for itself', async () => {
      const bus = await openBus()
      let calls = 0
      const count = (): void => void (calls += 1)
      const stop = bus.listen('topic', count)
      bus.listen('topic', count)
      stop()
      const last = nextRing(bus, 'topic')
      bus.ring('topic')
      await last
      expect(calls).toBe(1)
    })

    test('10,000 topics with listeners work, and are forgotten when nobody listens', async () => {
      const { bus, peer } = await openBoth()
      const topics = Array.from({ length: 10_000 }, (_, at) => `execution:${at}`)
      const heard = new Set<string>()
      const all = Promise.withResolvers<void>()
      const stops = topics.map((topic) =>
        peer.listen(topic, () => {
          if (heard.add(topic).size === topics.length) all.resolve()
        }),
      )
      for (const topic of topics) bus.ring(topic)
      await all.promise
      for (const stop of stops) stop()
      heard.clear()
      const last = nextRing(peer, 'last')
      for (const topic of topics.slice(0, 100)) bus.ring(topic)
      bus.ring('last')
      await last
      expect(heard.size).toBe(0)
    })

    test('after closing, rings and listeners do nothing and nothing throws', async () => {
      const bus = await openBus()
      const heard: string[] = []
      bus.listen('topic', () => heard.push('topic'))
      await bus.close()
      bus.ring('topic')
      await new Promise(setImmediate)
      await bus.close()
      expect(heard).toEqual([])
    })
  })

for (const { name, open, here } of between)
  test.skipIf(!here)(`${name}, equal rings of one turn are sent once, and different payloads each`, async () => {
    const bus = await open()
    const peer = await open()
    onTestFinished(() => Promise.all([bus.close(), peer.close()]).then(() => undefined))
    const heard: (string | undefined)[] = []
    peer.listen('topic', (payload) => heard.push(payload))
    const last = nextRing(peer, 'last')
    for (let times = 0; times < 100; times += 1) bus.ring('topic', 'same')
    bus.ring('topic', 'other')
    bus.ring('last')
    await last
    expect(heard).toEqual(['same', 'other'])
  })

test('over PostgreSQL, the bus listens again after its connection was lost', async () => {
  const lost = createPostgresBus({ database, connection, log: silent })
  const bus = await openPostgresBus()
  onTestFinished(() => Promise.all([bus.close(), lost.close()]).then(() => undefined))
  await lost.listening()
  // Both lose it: what counts is that rings come through again.
  const ended = await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sluice bus' and datname = current_database()`,
  )
  expect(ended).toHaveLength(2)
  const heard = nextRing(lost, 'topic')
  const ringing = setInterval(() => bus.ring('topic', 'again'), 20)
  onTestFinished(() => clearInterval(ringing))
  expect(await heard).toBe('again')
})

test('over PostgreSQL, a database that does not answer costs the rings and nothing else', async () => {
  const broken = { query: () => Promise.reject(new Error('no database')) }
  const bus = createPostgresBus({ database: broken, connection: 'postgres://nobody@127.0.0.1:1/none', log: silent })
  const heard = nextRing(bus, 'topic')
  bus.ring('topic', 'here')
  expect(await heard).toBe('here')
  await bus.close()
})

function nextRing(bus: Bus, topic: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const stop = bus.listen(topic, (payload) => {
      stop()
      resolve(payload)
    })
  })
}
