/**
 * Another Redis becomes master: everybody finds it, behind one address, as managed ones and proxies do it, or where sentinels say it is.
 * What processes share keeps there what it keeps elsewhere.
 */
import { setDefaultCACertificates } from 'node:tls'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { expect, onTestFinished, test } from 'vitest'
import type { Channel, Message } from '../../clients/agent/channel.ts'
import { openRedisChannel } from '../../clients/agent/redis-channel.ts'
import { openRedisWay } from '../../src/drill/redis-way.ts'
import { openProxy } from '../../src/drill/proxy.ts'
import type { Proxy } from '../../src/drill/proxy.ts'
import { toRedis } from '../../src/drill/upstream.ts'
import type { LockStore } from '../../src/fleet/lock.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createAgentMessages } from '../../src/fleet/redis-agent-messages.ts'
import { createRedisBus } from '../../src/fleet/redis-bus.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisDispatch } from '../../src/fleet/redis-dispatch.ts'
import { createRedisLimiters } from '../../src/fleet/redis-limiter.ts'
import { createRedisLocks } from '../../src/fleet/redis-locks.ts'
import { createMessageKeys } from '../../src/identity/message-keys.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { testSentinels } from '../harness/redis-sentinels.ts'
import { dataDirectory } from '../harness/server-process.ts'
import { testCertificate } from '../harness/test-certificate.ts'
import { testDatabase } from '../harness/test-database.ts'
import { untilHeard } from '../harness/until-heard.ts'
import { describeBullMq, describeDispatch } from './dispatch.contract.ts'
import { describeLimiter, describeSharedLimiter } from './limiter.contract.ts'
import { describeLock } from './lock.contract.ts'

const silent = createLog('silent')
const MANY = 1_000_000
const keys = createMessageKeys(createSecretKeys('x'.repeat(32)))

const servers = hasRedis ? [await testRedis(), await testRedis()] : []
const sentinel = hasRedis ? await testRedis({ requirepass: 'of sentinels' }, undefined, 'sentinel') : undefined
const certificate = hasRedis ? testCertificate(await dataDirectory()) : undefined
if (certificate) setDefaultCACertificates([certificate.ca])
const sentinels = certificate && (await testSentinels(certificate))
const ground = await testDatabase()
const rings = createLocalBus(silent)

async function connected(url = sentinels!.url, log = silent) {
  await sentinels!.ready
  const redis = await connectRedis(url, log)
  onTestFinished(() => redis.close())
  return redis
}
const openDispatch = async () =>
  createRedisDispatch({ redis: await connected(), bus: rings, log: silent, registry: new Registry() })
const openLimiter = async () => createRedisLimiters({ redis: await connected(), log: silent, registry: new Registry() })
const shared = sentinels?.ready.then(async () => (await connectRedis(sentinels.url, silent)).reached)

describeLock('where sentinels say', async () => createRedisLocks(await connected()), hasRedis)
describeLimiter('where sentinels say', openLimiter, hasRedis)
describeSharedLimiter('sentinels', openLimiter, hasRedis)
describeDispatch('by BullMQ where sentinels say', openDispatch, ground, hasRedis)
describeBullMq('by BullMQ where sentinels say', openDispatch, { ...ground, bus: rings, client: () => shared! }, hasRedis)

/** All that a process has there, and an agent. */
async function openProcess() {
  const lines: { msg: string }[] = []
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) })
  const redis = await connected(sentinels!.url, log)
  const bus = createRedisBus({ redis, log })
  const dispatch = createRedisDispatch({ redis, bus: rings, log, registry: new Registry() })
  const messages = createAgentMessages({ redis, log })
  const taken: string[] = []
  const serving = dispatch.serve(['default'], {
    ...{ room: () => 100, look: () => undefined, hasRoomForSteps: () => true, takeSteps: () => Promise.resolve(0) },
    take: async (ids) => void taken.push(...ids),
  })
  onTestFinished(async () => {
    await serving.stop()
    await Promise.all([dispatch.close(), messages.close(), bus.close()])
  })
  await bus.listening()
  const limiter = createRedisLimiters({ redis, log, registry: new Registry() })({ name: 'failover', points: MANY })
  const said = (message: string): number => lines.filter(({ msg }) => msg.startsWith(message)).length
  return { redis, bus, dispatch, messages, limiter, locks: createRedisLocks(redis), taken, said }
}

async function openAgent(redis: string, errors: string[] = []): Promise<Channel> {
  const agent = await openRedisChannel({
    ...{ url: 'http://127.0.0.1:1', apiKey: 'slk_none', roles: ['tester'], name: 'me', redis, serverKey: keys.publicKey },
    onError: (error) => errors.push((error as Error).message),
  })
  onTestFinished(() => agent.close())
  return agent
}

/** As the server writes it. */
function messageOf(id: string): { id: string; text: string; signature: string } {
  const times = { createdAt: new Date().toISOString(), deadlineAt: new Date(Date.now() + 600_000).toISOString() }
  const about = { role: 'tester', subject: 'Look', body: {}, bodyBytes: 2, execution: 'exec_1', step: 'ask' }
  const text = JSON.stringify({ v: 1, type: 'request', id, ...about, ...times })
  return { id, text, signature: keys.sign(text) }
}

async function next(agent: Channel, signal: AbortSignal): Promise<Message & { kind: 'request' }> {
  const [message] = await agent.next(1, signal)
  if (message?.kind !== 'request') throw new Error('a request was expected')
  return message
}

test.skipIf(!hasRedis)(
  'a master behind a sentinel that has another password, without TLS: a user and a database there (D1)',
  async () => {
    const operator = new Redis(servers[0]!.url)
    const watcher = new Redis(sentinel!.url, { password: 'of sentinels', enableReadyCheck: false })
    onTestFinished(async () => {
      await watcher.call('SENTINEL', 'REMOVE', 'plain')
      for (const client of [operator, watcher]) client.disconnect()
    })
    await watcher.call('SENTINEL', 'MONITOR', 'plain', '127.0.0.1', servers[0]!.port, 1)
    await operator.call('ACL', 'SETUSER', 'me', 'on', '>p@ss', '~*', '&*', '+@all')
    const url = `redis+sentinel://me:p%40ss@127.0.0.1:${sentinel!.port}/plain/3?sentinel_password=of+sentinels`
    const redis = await connected(url)
    expect(await (await redis.reached).acl('WHOAMI')).toBe('me')
    expect(await createRedisLocks(redis).take('mine', 'me', 60_000)).toBe(true)
    await operator.select(3)
    expect(await operator.get('sluice:lock:mine')).toBe('me')
    const agent = await openAgent(url)
    const { text, signature } = messageOf('ask_3')
    await operator.xadd('messages:tester', '*', 'message', text, 'signature', signature)
    expect((await next(agent, AbortSignal.timeout(10_000))).request.id).toBe('ask_3')
  },
  20_000,
)

test.skipIf(!hasRedis)('what a URL names and is not there is told by its reason, and keeps no start waiting', async () => {
  const [one, two] = servers.map(({ port }) => `127.0.0.1:${port}`)
  for (const [url, why] of [
    [`redis://${one},${two}`, /cluster support disabled/],
    [`redis+sentinel://127.0.0.1:${sentinel!.port}/nobody?sentinel_password=of+sentinels`, /No such master/],
    [`redis+sentinel://127.0.0.1:${sentinel!.port}/nobody`, /NOAUTH/],
  ] as const) {
    const told: { msg: string; why: string }[] = []
    const redis = await connected(url, createLog('info', { write: (line) => void told.push(JSON.parse(line)) }))
    expect(redis.client).toBeUndefined()
    expect(told).toEqual([expect.objectContaining({ msg: 'Redis cannot be reached', why: expect.stringMatching(why) as string })])
  }
})

test.skipIf(!hasRedis)(
  'a connection that finds itself at a replica is made anew, of servers and of agents (A14, E5)',
  async () => {
    const [one, two] = servers.map(({ url }) => new Redis(url)) as [Redis, Redis]
    let master = servers[0]!
    const proxy = await openProxy(() => toRedis({ host: '127.0.0.1', port: master.port }, { tls: false })())
    const url = `redis://127.0.0.1:${proxy.port}`
    const connection = await connectRedis(url, silent)
    const errors: string[] = []
    const agent = await openAgent(url, errors)
    const stopping = new AbortController()
    onTestFinished(() => {
      stopping.abort()
      connection.close()
      for (const client of [one, two]) client.disconnect()
      proxy.close()
    })
    const put = (client: Redis, id: string): Promise<unknown> => {
      const { text, signature } = messageOf(id)
      return client.xadd('messages:tester', '*', 'message', text, 'signature', signature)
    }

    const locks = createRedisLocks(connection)
    expect(await locks.take('before', 'me', 60_000)).toBe(true)
    await put(one, 'ask_1')
    expect((await next(agent, stopping.signal)).request.id).toBe('ask_1')

    const waiting = next(agent, stopping.signal)
    master = servers[1]!
    await one.replicaof('127.0.0.1', master.port)
    await expect.poll(() => locks.take('after', 'me', 60_000).catch(() => false)).toBe(true)
    expect(await two.get('sluice:lock:after')).toBe('me')
    await put(two, 'ask_2')
    expect((await waiting).request.id).toBe('ask_2')
    expect((await two.xpending('messages:tester', 'agents'))[0]).toBe(1)
    // told that Redis went, as of any other time that it is away; not of each thing that was tried there
    expect(errors.filter((message) => !message.startsWith('Redis: '))).toEqual([])
  },
)

test.skipIf(!hasRedis)(
  'sentinels make the replica master, twice: what processes share is late by seconds, and each says so once (A14, D6, E5)',
  async () => {
    const stopping = new AbortController()
    onTestFinished(() => stopping.abort())
    const [one, two] = [await openProcess(), await openProcess()]
    const errors: string[] = []
    const agent = await openAgent(sentinels!.url, errors)
    const proxies: Proxy[] = []
    const way = await openRedisWay(sentinels!.url, async (upstream) => {
      const proxy = await openProxy(upstream)
      proxies.push(proxy)
      return proxy
    })
    onTestFinished(() => proxies.forEach((proxy) => proxy.close()))
    const throughDrill = createRedisLocks(await connected(way.url))

    async function goesOn(at: number): Promise<void> {
      const asked = next(agent, stopping.signal)
      const ask = `ask_${at}`
      await expect.poll(() => one.messages.deliver('tester', [messageOf(ask)]).catch(() => 0), { timeout: 20_000 }).toBe(1)
      const message = await asked
      expect(message.request.id).toBe(ask)
      await agent.settle(message)
      expect(await two.messages.taken('tester', [ask])).toEqual([ask])
      await untilHeard(one.bus, two.bus)
      await untilHeard(two.bus, one.bus)
      const taken = (locks: LockStore, who: string) => locks.take(`lock ${at}`, who, 60_000).catch(() => undefined)
      await expect.poll(() => taken(one.locks, 'one'), { timeout: 5_000 }).toBe(true)
      await expect.poll(() => taken(two.locks, 'two'), { timeout: 5_000 }).toBe(false)
      await expect.poll(() => taken(throughDrill, 'drill'), { timeout: 5_000 }).toBe(false)
      const seen = async () => {
        await one.limiter.take(`key ${at}`)
        return (await two.limiter.look(`key ${at}`)).remaining < MANY
      }
      await expect.poll(seen, { timeout: 5_000 }).toBe(true)
    }
    async function isOffered(): Promise<void> {
      const executionId = newUuid()
      const offered = () => {
        one.dispatch.offer({ pool: 'default', executionId, version: 1, priority: 0 })
        return [...one.taken, ...two.taken].includes(executionId)
      }
      await expect.poll(offered, { timeout: 20_000 }).toBe(true)
    }
    await goesOn(0)
    await isOffered()
    const [master, replica] = sentinels!.servers
    await master.stop()
    await sentinels!.newMaster(replica.port)
    await goesOn(1)
    // what was done before is known to be
    expect(await two.messages.taken('tester', ['ask_0'])).toEqual(['ask_0'])

    await master.start()
    // everybody is connected to one that becomes a replica
    await sentinels!.failOver(master.port)
    await goesOn(2)
    await isOffered()
    expect(await two.messages.taken('tester', ['ask_0', 'ask_1', 'ask_2'])).toEqual(['ask_0', 'ask_1', 'ask_2'])
    for (const { said } of [one, two]) {
      await expect.poll(() => said('the bus has Redis again')).toBe(2)
      expect(said('the bus lost Redis')).toBe(2)
    }
    expect(errors.filter((message) => !message.startsWith('Redis: '))).toEqual([])
  },
  60_000,
)
