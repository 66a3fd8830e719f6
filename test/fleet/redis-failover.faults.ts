/** Behind one address another Redis becomes master, as managed ones and proxies before Sentinel do it: everybody finds it. */
import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { openRedisChannel } from '../../clients/agent/redis-channel.ts'
import { openProxy } from '../../src/drill/proxy.ts'
import { toRedis } from '../../src/drill/upstream.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisLocks } from '../../src/fleet/redis-locks.ts'
import { createMessageKeys } from '../../src/identity/message-keys.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'

const servers = hasRedis ? [await testRedis(), await testRedis()] : []

test.skipIf(!hasRedis)(
  'a connection that finds itself at a replica is made anew, of servers and of agents (A14, E5)',
  async () => {
    const [one, two] = servers.map(({ url }) => new Redis(url)) as [Redis, Redis]
    let master = servers[0]!
    const proxy = await openProxy(() => toRedis(master.url)())
    const url = `redis://127.0.0.1:${proxy.port}`
    const connection = await connectRedis(url, createLog('silent'))
    const keys = createMessageKeys(createSecretKeys('x'.repeat(32)))
    const errors: string[] = []
    const agent = await openRedisChannel({
      ...{ url: 'http://127.0.0.1:1', apiKey: 'slk_none', roles: ['tester'], name: 'me', redis: url, serverKey: keys.publicKey },
      onError: (error) => errors.push((error as Error).message),
    })
    const stopping = new AbortController()
    onTestFinished(async () => {
      stopping.abort()
      await agent.close()
      connection.close()
      for (const client of [one, two]) client.disconnect()
      proxy.close()
    })
    const put = (client: Redis, id: string): Promise<unknown> => {
      const times = { createdAt: new Date().toISOString(), deadlineAt: new Date(Date.now() + 600_000).toISOString() }
      const about = { role: 'tester', subject: 'Look', body: {}, bodyBytes: 2, execution: 'exec_1', step: 'ask' }
      const message = JSON.stringify({ v: 1, type: 'request', id, ...about, ...times })
      return client.xadd('messages:tester', '*', 'message', message, 'signature', keys.sign(message))
    }
    const next = async (): Promise<string[]> =>
      (await agent.next(1, stopping.signal)).map((message) => (message.kind === 'request' ? message.request.id : ''))

    const locks = createRedisLocks(connection)
    expect(await locks.take('before', 'me', 60_000)).toBe(true)
    await put(one, 'ask_1')
    expect(await next()).toEqual(['ask_1'])

    const waiting = next()
    master = servers[1]!
    await one.replicaof('127.0.0.1', master.port)
    await expect.poll(() => locks.take('after', 'me', 60_000).catch(() => false)).toBe(true)
    expect(await two.get('sluice:lock:after')).toBe('me')
    await put(two, 'ask_2')
    expect(await waiting).toEqual(['ask_2'])
    expect((await two.xpending('messages:tester', 'agents'))[0]).toBe(1)
    // told that Redis went, as of any other time that it is away; not of each thing that was tried there
    expect(errors.filter((message) => !message.startsWith('Redis: '))).toEqual([])
  },
)
