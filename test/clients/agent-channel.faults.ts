/** An agent at its Redis, without a server: what is forged, what another key signed, who has what, and what stays when it cannot begin. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openAnswers } from '../../clients/agent/answers.ts'
import type { Channel, Message } from '../../clients/agent/channel.ts'
import { openRedisChannel } from '../../clients/agent/redis-channel.ts'
import type { RedisChannelOptions } from '../../clients/agent/redis-channel.ts'
import { createServerKey } from '../../clients/agent/server-key.ts'
import { createSigner } from '../../clients/agent/signing.ts'
import { REPLY } from '../../src/fleet/agent-scripts.ts'
import { createMessageKeys } from '../../src/identity/message-keys.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { startStubService } from '../harness/stub-service.ts'

const [oldKeys, newKeys] = ['x', 'y'].map((secret) => createMessageKeys(createSecretKeys(secret.repeat(32))))
const GROUP = 'agents'
const idOf = (message: Message): string => (message.kind === 'request' ? message.request.id : message.notice.id)

describe.skipIf(!hasRedis)('an agent at its Redis', async () => {
  if (!hasRedis) return
  const redis = await testRedis()
  const writer = new Redis(redis.url)
  afterAll(() => writer.disconnect())
  let roles = 0

  /** A role of the test's own, which servers write to. */
  function newRole() {
    const role = `tester${(roles += 1)}`
    const stream = `messages:${role}`
    const ending = new AbortController()
    onTestFinished(() => ending.abort())
    return {
      ...{ stream, signal: ending.signal },
      async open(name = 'me', more: Partial<RedisChannelOptions> = {}): Promise<Channel> {
        const options = { url: 'http://127.0.0.1:1', apiKey: 'slk_none', roles: [role], name, redis: redis.url }
        const channel = await openRedisChannel({ ...options, onError: () => undefined, ...more })
        onTestFinished(() => channel.close())
        return channel
      },
      put(id: string, { sign } = oldKeys!): Promise<string | null> {
        const times = { createdAt: new Date().toISOString(), deadlineAt: new Date(Date.now() + 600_000).toISOString() }
        const about = { role, subject: 'Look', body: {}, bodyBytes: 2, execution: 'exec_1', step: 'ask' }
        const message = JSON.stringify({ v: 1, type: 'request', id, ...about, ...times })
        return writer.xadd(stream, '*', 'message', message, 'signature', sign(message))
      },
      async forge(count: number): Promise<void> {
        const pipeline = writer.pipeline()
        for (let at = 0; at < count; at += 1) pipeline.xadd(stream, '*', 'message', `{"id":"${at}"}`, 'signature', 'none')
        await pipeline.exec()
      },
      pending: async (): Promise<number> => ((await writer.xpending(stream, GROUP)) as [number])[0],
      /** All that agents took, they have been silent about for a minute. */
      async silence(): Promise<void> {
        const all = (await writer.xpending(stream, GROUP, '-', '+', 10_000)) as [string, string][]
        const pipeline = writer.pipeline()
        for (const [entry, name] of all) pipeline.call('xclaim', stream, GROUP, name, 0, entry, 'IDLE', 60_000, 'JUSTID')
        await pipeline.exec()
      },
    }
  }

  /** What this process reads of the time, from here on. */
  function newClock(): { forward(ms: number): void } {
    const now = performance.now.bind(performance)
    let ahead = 0
    const spy = vi.spyOn(performance, 'now').mockImplementation(() => now() + ahead)
    onTestFinished(() => spy.mockRestore())
    return { forward: (ms) => void (ahead += ms) }
  }

  /** An API that names this key. */
  async function keyApi(key: { name: string; asked: number }) {
    const api = await startStubService((_asked, response) => {
      key.asked += 1
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ data: { agentMessageKey: key.name } }))
    })
    onTestFinished(() => api.close())
    return api.url
  }

  test('what is signed with a key that the API does not name yet is kept, and done when it does', async () => {
    const clock = newClock()
    const { open, put, pending, silence, signal } = newRole()
    const key = { name: oldKeys!.publicKey, asked: 0 }
    const channel = await open('me', { url: await keyApi(key) })
    await put('ask_old')
    const [first] = await channel.next(4, signal)
    expect(idOf(first!)).toBe('ask_old')
    await channel.settle(first!)
    await put('ask_new', newKeys)
    await put('ask_old_again')
    const [second] = await channel.next(4, signal)
    expect(idOf(second!)).toBe('ask_old_again')
    await channel.settle(second!)
    expect(await pending()).toBe(1)

    key.name = newKeys!.publicKey
    const again = channel.next(4, signal)
    await silence()
    clock.forward(20_000)
    expect((await again).map(idOf)).toEqual(['ask_new'])
    expect(key.asked).toBe(2)
  })

  test('many that are forged hide none that is new or that a dead agent left; they are taken away after ten minutes', async () => {
    const { stream, open, put, forge, pending, silence, signal } = newRole()
    const key = { name: oldKeys!.publicKey, asked: 0 }
    await writer.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM')
    await forge(1_500)
    await put('ask_left')
    await writer.xreadgroup('GROUP', GROUP, 'dead', 'COUNT', 10_000, 'STREAMS', stream, '>')
    await silence()
    await forge(500)
    await put('ask_new')
    const clock = newClock()
    const channel = await open('me', { url: await keyApi(key) })
    const found: Message[] = []
    while (found.length < 2) found.push(...(await channel.next(4, signal)))
    expect(found.map(idOf).sort()).toEqual(['ask_left', 'ask_new'])
    for (const message of found) await channel.settle(message)
    expect(await pending()).toBe(2_000)
    expect(key.asked).toBe(1)

    // more than are looked at together, all passed by: the one behind them is found
    await put('ask_later')
    await writer.xreadgroup('GROUP', GROUP, 'dead', 'COUNT', 1, 'STREAMS', stream, '>')
    await silence()
    clock.forward(10_000)
    const [later] = await channel.next(4, signal)
    expect(idOf(later!)).toBe('ask_later')
    await channel.settle(later!)

    const next = channel.next(4, signal)
    next.catch(() => undefined)
    clock.forward(600_000)
    await expect.poll(pending, { timeout: 8_000 }).toBe(0)
  })

  test('what is not signed with the key that an agent was given is taken away at once', async () => {
    const { open, put, forge, pending, signal } = newRole()
    const errors: unknown[] = []
    const channel = await open('me', { serverKey: oldKeys!.publicKey, onError: (error) => errors.push(error) })
    await forge(3)
    await put('ask_1')
    expect((await channel.next(1, signal)).map(idOf)).toEqual(['ask_1'])
    expect(await pending()).toBe(1)
    expect(errors).toHaveLength(3)
  })

  test('an API that is away is not asked about each message that is forged', async () => {
    const { open, put, forge, signal } = newRole()
    let asked = 0
    const api = await startStubService((_asked, response) => {
      asked += 1
      if (asked > 1) return response.destroy()
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ data: { agentMessageKey: oldKeys!.publicKey } }))
    })
    onTestFinished(() => api.close())
    const channel = await open('me', { url: api.url })
    await put('ask_1')
    await channel.next(1, signal)
    const clock = newClock()
    clock.forward(20_000)
    await forge(100)
    await put('ask_2')
    expect((await channel.next(1, signal)).map(idOf)).toEqual(['ask_2'])
    expect(asked).toBe(2)
  })

  test('what an agent fails at another has at once; alone, it has it again itself, not before its pause is over', async () => {
    const { open, put, pending, signal } = newRole()
    const serverKey = oldKeys!.publicKey
    const one = await open('one', { serverKey })
    await put('ask_1')
    const [first] = await one.next(1, signal)
    const began = performance.now()
    one.leave(first!, 300)
    const [again] = await one.next(1, signal)
    expect(idOf(again!)).toBe('ask_1')
    expect(performance.now() - began).toBeGreaterThan(290)

    one.leave(again!, 3_600_000)
    const two = await open('two', { serverKey })
    const [taken] = await two.next(1, signal)
    expect(idOf(taken!)).toBe('ask_1')
    // left for good by the second: the first comes back to it when it likes
    two.leave(taken!, Number.POSITIVE_INFINITY)
    const three = await open('three', { serverKey })
    expect((await three.next(1, signal)).map(idOf)).toEqual(['ask_1'])
    await three.settle(taken!)
    await expect.poll(pending).toBe(0)
  })

  test('an agent hears its replies again when their stream was made anew with smaller ids', async () => {
    const signer = createSigner('slk_of_an_agent')
    const replies = `workflow:agent_replies:${signer.fingerprint}`
    await writer.xadd(replies, '1-1', 'message', '', 'signature', '')
    const closing = new AbortController()
    onTestFinished(() => closing.abort())
    const key = createServerKey({ url: '', apiKey: '' }, oldKeys!.publicKey)
    const answers = await openAnswers({ redis: writer, signer, key, closing: closing.signal })
    // by somebody who has a password of Redis
    await writer.xadd(replies, '18446744073709551615-18446744073709551615', 'message', 'forged', 'signature', 'none')
    await expect.poll(async () => /cmd=xread /.test((await writer.client('LIST')) as string)).toBe(true)
    const request = { id: 'ask_1', role: 'ceo', subject: '', body: {}, step: '', execution: undefined }
    const times = { createdAt: new Date(), deadlineAt: new Date() }
    const sent = answers.send({ ...request, ...times }, { decision: 'APPROVE' }, closing.signal)
    await expect.poll(() => writer.xlen('workflow:agent_responses')).toBe(1)
    const [[, [, , , message]]] = (await writer.xrange('workflow:agent_responses', '-', '+')) as [[string, string[]]]
    const { nonce } = JSON.parse(message!) as { nonce: string }
    const text = JSON.stringify({ v: 1, type: 'reply', request: 'ask_1', nonce, ok: true })
    await writer.eval(REPLY, 1, replies, text, oldKeys!.sign(text), 1_000, 60_000)
    expect(await sent).toBe('ACCEPTED')
  })

  const AGENT = new URL('../../clients/agent/agent.ts', import.meta.url).href

  /** What an agent of this address says when it cannot start, or is stopped meanwhile: its process ends by itself. */
  async function startAndStop(url: string): Promise<{ said: string; code: number | null }> {
    const program = `import { createAgent } from ${JSON.stringify(AGENT)}
      const agent = createAgent({ url: 'http://127.0.0.1:1', apiKey: 'slk_none', roles: ['ceo'], redis: ${JSON.stringify(url)},
        onRequest: () => undefined, onError: () => agent.stop() })
      agent.ended.then((why) => console.log('ended', why?.message ?? 'well'))
      await agent.start().then(() => console.log('started'), ({ message }) => console.log('failed', message))`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let said = ''
    child.stdout.on('data', (part: Buffer) => (said += String(part)))
    const [code] = (await once(child, 'close')) as [number | null]
    return { said, code }
  }

  test('an agent that is stopped before it reached Redis leaves nothing behind: its process ends', async () => {
    expect(await startAndStop('redis://127.0.0.1:1')).toEqual({ said: expect.stringContaining('ended well'), code: 0 })
    expect(await startAndStop('redis://127.0.0.1:1,127.0.0.1:2')).toEqual({
      said: expect.stringContaining('ended well'),
      code: 0,
    })
  })

  test('an agent whose user of Redis may not read its replies says so, and leaves nothing behind', async () => {
    await writer.call('ACL', 'SETUSER', 'half', 'on', '>half', '~messages:*', '&*', '+@all')
    const { said, code } = await startAndStop(redis.url.replace('//', '//half:half@'))
    expect(said).toMatch(/failed NOPERM.*\n?/)
    expect(said).toMatch(/ended NOPERM/)
    expect(code).toBe(0)
    expect(await writer.client('LIST')).not.toContain('user=half')
  })
})
