/** What processes share in a Redis Cluster keeps what it keeps elsewhere: on all of its nodes, while slots move, and when a node dies. */
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createAgentMessages } from '../../src/fleet/redis-agent-messages.ts'
import { createRedisBus } from '../../src/fleet/redis-bus.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisDispatch } from '../../src/fleet/redis-dispatch.ts'
import { createRedisLimiters } from '../../src/fleet/redis-limiter.ts'
import { createRedisLocks } from '../../src/fleet/redis-locks.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedisCluster } from '../harness/redis-cluster.ts'
import { testDatabase } from '../harness/test-database.ts'
import { untilHeard } from '../harness/until-heard.ts'
import { describeBullMq, describeDispatch } from './dispatch.contract.ts'
import { describeLimiter, describeSharedLimiter } from './limiter.contract.ts'
import { describeLock } from './lock.contract.ts'

const silent = createLog('silent')
const BUS = 'sluice:bus'
/** which of three masters has its slot */
const HAS_BUS = 1
const cluster = hasRedis ? await testRedisCluster({ masters: 3, replicasOf: [HAS_BUS] }) : undefined

const ground = await testDatabase()
const bus = createLocalBus(silent)
const shared = cluster?.ready.then(async () => (await connectRedis(cluster.url, silent)).reached)

async function connected() {
  await cluster!.ready
  const redis = await connectRedis(cluster!.urlOfAll, silent)
  onTestFinished(() => redis.close())
  return redis
}
const openDispatch = async () => createRedisDispatch({ redis: await connected(), bus, log: silent, registry: new Registry() })
const openLimiter = async () => createRedisLimiters({ redis: await connected(), log: silent, registry: new Registry() })

describeLock('in a Redis Cluster', async () => createRedisLocks(await connected()), hasRedis)
describeLimiter('in a Redis Cluster', openLimiter, hasRedis)
describeSharedLimiter('one Redis Cluster', openLimiter, hasRedis)
describeDispatch('by BullMQ on a Redis Cluster', openDispatch, ground, hasRedis)
describeBullMq('by BullMQ on a Redis Cluster', openDispatch, { ...ground, bus, client: () => shared! }, hasRedis)

async function open() {
  const lines: { msg: string }[] = []
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) })
  const redis = await connectRedis(cluster!.url, log)
  const bus = createRedisBus({ redis, log })
  onTestFinished(async () => {
    await bus.close()
    redis.close()
  })
  await bus.listening()
  const createLimiter = createRedisLimiters({ redis, log, registry: new Registry() })
  return { bus, redis, createLimiter, said: (message: string) => lines.filter(({ msg }) => msg.startsWith(message)).length }
}

describe.skipIf(!hasRedis)('in a Redis Cluster', async () => {
  await cluster?.ready
  const nodes = (cluster?.masters ?? []).map(({ url }) => new Redis(url, { lazyConnect: true, retryStrategy: null }))
  for (const node of nodes) node.on('error', () => undefined)
  afterAll(() => nodes.forEach((node) => node.disconnect()))
  const slot = async (): Promise<number> => await nodes[0]!.cluster('KEYSLOT', BUS)

  test('processes count together, whichever node has the key (B3)', async () => {
    const [one, two] = [await open(), await open()]
    const rule = { name: 'spread', points: 5 }
    const limiters = [one.createLimiter(rule), two.createLimiter(rule)]
    const keys = Array.from({ length: 30 }, (_, at) => `key-${at}`)
    // one key after the other: a machine that is busy with all at once would take Redis to be away
    for (const key of keys) {
      const taken = await Promise.all(Array.from({ length: 20 }, (_, at) => limiters[at % 2]!.take(key)))
      expect(taken.filter(({ allowed }) => allowed)).toHaveLength(5)
    }
    for (const node of nodes) expect((await node.keys('sluice:limit:spread:*')).length).toBeGreaterThan(0)
    expect(await limiters[0]!.look('key-0')).toMatchObject({ allowed: false, remaining: 0 })
    await limiters[0]!.giveBack('key-0', 1)
    expect(await limiters[0]!.look('key-0')).toMatchObject({ allowed: true, remaining: 1 })
    for (const { said } of [one, two]) expect(said('Redis is away')).toBe(0)
  })

  test('messages of agents: each role at its node, answers at theirs, whatever node an agent publishes at (A14)', async () => {
    const redis = await connected()
    const messages = createAgentMessages({ redis, log: silent })
    onTestFinished(() => messages.close())
    const roles = Array.from({ length: 12 }, (_, at) => `role_${at}`)
    const message = { id: 'ask_1', text: '{}', signature: 's' }
    for (const role of roles) {
      expect(await messages.deliver(role, [message, { ...message, id: 'ask_2' }])).toBe(2)
      await messages.withdraw(role, ['ask_2'])
      expect(await messages.held(role)).toEqual(['ask_1'])
      expect(await messages.taken(role, ['ask_1'])).toEqual([])
      await messages.reply(role, message)
    }
    for (const node of nodes) expect((await node.keys('messages:*')).length).toBeGreaterThan(0)
    expect([await messages.intact('key'), await messages.intact('key')]).toEqual([false, true])
    const nonces = ['one', 'two', 'one'].map((nonce, at) => ({ entry: `${at}-0`, nonce, keptMs: 60_000 }))
    expect(await messages.claimNonces(nonces)).toEqual([true, true, false])
    const received: string[] = []
    for (const [at, node] of nodes.entries()) {
      const heard = new Promise<void>((resolve) => messages.onAnswer(resolve))
      // until the process listens
      const publishing = setInterval(() => void node.publish('workflow:agent_responses', `answer ${at}`), 20)
      await heard.finally(() => clearInterval(publishing))
      for (const { entry, fields } of await messages.receive(10)) {
        received.push(fields['heard']!)
        await messages.settle([entry])
      }
    }
    expect(received).toEqual(['answer 0', 'answer 1', 'answer 2'])
    expect(await messages.reclaim(10)).toEqual([])
  })

  test('rings are carried by one node, not by all', async () => {
    const [one, two] = [await open(), await open()]
    await untilHeard(one.bus, two.bus)
    const shards = await Promise.all(nodes.map(async (node) => (await node.call('PUBSUB', 'SHARDCHANNELS')) as string[]))
    expect(shards.flat()).toEqual([BUS])
    for (const node of nodes) expect(await node.call('PUBSUB', 'CHANNELS')).toEqual([])
  })

  test('the slot of the bus moves to another node, and rings follow it', async () => {
    const [one, two] = [await open(), await open()]
    const [other, from, to] = nodes as [Redis, Redis, Redis]
    const [fromId, toId] = [await from.cluster('MYID'), await to.cluster('MYID')]
    const bus = await slot()
    for (const [source, target, id] of [
      [from, to, toId],
      [to, from, fromId],
    ] as const) {
      await target.call('CLUSTER', 'SETSLOT', bus, 'IMPORTING', await source.cluster('MYID'))
      await source.call('CLUSTER', 'SETSLOT', bus, 'MIGRATING', id)
      for (const node of [target, source, other]) await node.call('CLUSTER', 'SETSLOT', bus, 'NODE', id)
      await untilHeard(one.bus, two.bus)
      await untilHeard(two.bus, one.bus)
    }
  })

  test('the node that carries the bus dies: all goes on with its replica, and each process says so once', async () => {
    const both = [await open(), await open()] as const
    const [one, two] = both
    await untilHeard(one.bus, two.bus)
    await cluster!.masters[HAS_BUS]!.stop()
    for (const { said } of both) await expect.poll(() => said('the bus lost Redis'), { timeout: 10_000 }).toBe(1)
    await untilHeard(one.bus, two.bus)
    await untilHeard(two.bus, one.bus)
    const limiters = both.map(({ createLimiter }) => createLimiter({ name: 'after', points: 100 }))
    const keys = Array.from({ length: 50 }, (_, at) => `key-${at}`)
    await expect
      .poll(
        async () => {
          for (const key of keys) await limiters[0]!.take(key)
          const seen = await Promise.all(keys.map((key) => limiters[1]!.look(key)))
          return seen.every(({ remaining }) => remaining < 100)
        },
        { timeout: 20_000, interval: 500 },
      )
      .toBe(true)
    for (const { said } of both) {
      await expect.poll(() => said('the bus has Redis again')).toBe(1)
      expect(said('the bus lost Redis')).toBe(1)
    }
  })
})
