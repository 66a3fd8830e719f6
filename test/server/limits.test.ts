/** Limits at the doors: who is counted, as how much, and that nothing a caller can vary lets it escape (B3). */
import { once } from 'node:events'
import { request } from 'node:http'
import { Registry } from 'prom-client'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisLimiters } from '../../src/fleet/redis-limiter.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { codeOf, post, principal, RawSocket, serve } from './test-server.ts'
import type { Posted } from './test-server.ts'

const PER_MINUTE = 5
const limited = (changes: Parameters<typeof serve>[0] = {}) => serve({ requestsPerMinute: PER_MINUTE, ...changes })

/** How many of these requests were let in. */
const letIn = (answers: readonly Posted[]): number => answers.filter(({ status }) => status !== 429).length
const times = <T>(count: number, make: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => make(at)))

describe('what a caller can vary does not let it escape its limit (B3)', () => {
  test('headers, operation names, documents and variables', async () => {
    const { url } = await limited()
    const answers = await times(20, (at) =>
      post(url, `query Name${at} { a${at}: hello }`, {
        variables: { at },
        operationName: `Name${at}`,
        headers: {
          'user-agent': `agent-${at}`,
          'x-request-id': `request-${at}`,
          'x-forwarded-for': `192.0.2.${at}`,
          'x-real-ip': `192.0.2.${at}`,
          forwarded: `for=192.0.2.${at}`,
          'cf-connecting-ip': `192.0.2.${at}`,
        },
      }),
    )
    expect(letIn(answers)).toBe(PER_MINUTE)
  })

  test('malformed requests count like others', async () => {
    const { url } = await limited()
    const answers = await times(20, (at) => post(url, at % 2 ? '{ hello' : '{ nothing }'))
    expect(letIn(answers)).toBe(PER_MINUTE)
  })

  test('many tokens of one user share its limit, and users do not share one (B3, C2)', async () => {
    const { url, tokens } = await limited()
    for (let at = 0; at < 20; at++) tokens.set(`session-${at}`, { ok: true, principal: principal() })
    expect(letIn(await times(20, (at) => post(url, '{ hello }', { token: `session-${at}` })))).toBe(PER_MINUTE)
    const other = { ...principal(), id: '0190a000-0000-7000-8000-00000000000f', actsAs: '0190a000-0000-7000-8000-00000000000f' }
    tokens.set('other', { ok: true, principal: other })
    expect((await post(url, '{ hello }', { token: 'other' })).status).toBe(200)
  })

  test('keys of one owner share the limit of their owner (B9)', async () => {
    const { url, tokens } = await limited()
    const { actsAs } = principal()
    for (let at = 0; at < 20; at++) {
      const id = `0190a000-0000-7000-8000-0000000001${String(at).padStart(2, '0')}`
      const key = {
        kind: 'API_KEY',
        id,
        actsAs,
        ownerId: actsAs,
        role: 'USER',
        scopes: new Set<never>(),
        expiresAt: Infinity,
      } as const
      tokens.set(`key-${at}`, { ok: true, principal: key })
    }
    const answers = await times(20, (at) => post(url, '{ hello }', { token: at % 2 ? `key-${at}` : 'user' }))
    expect(letIn(answers)).toBe(PER_MINUTE)
  })

  test('the operations of a batch count one by one', async () => {
    const { url } = await limited()
    const body = JSON.stringify(Array.from({ length: 8 }, () => ({ query: '{ hello }' })))
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const answers = (await response.json()) as Posted[]
    expect(answers.filter(({ data }) => data)).toHaveLength(PER_MINUTE)
    expect(response.headers.get('x-ratelimit-remaining')).toBe('0')
    expect(response.headers.get('retry-after')).not.toBeNull()
  })

  test('both doors count together', async () => {
    const { url, socketUrl } = await limited()
    const socket = await new RawSocket(socketUrl).open('Bearer user')
    for (let at = 0; at < PER_MINUTE - 1; at++) socket.subscribe(`op${at}`, '{ hello }')
    await socket.next('next', `op${PER_MINUTE - 2}`)
    expect((await post(url, '{ hello }', { token: 'user' })).status).toBe(200)
    expect((await post(url, '{ hello }', { token: 'user' })).status).toBe(429)
    socket.subscribe('late', '{ hello }')
    expect((await socket.next('error', 'late')).payload[0].extensions).toMatchObject({
      code: 'RATE_LIMITED',
      limit: PER_MINUTE,
      remaining: 0,
      retryAfterMs: expect.any(Number),
    })
    socket.send({ type: 'ping' })
    await socket.next('pong')
  })
})

describe('tokens', () => {
  test('that are wrong are counted by address, and past the limit no work is done on them (B3)', async () => {
    let asked = 0
    const { url, refusals } = await limited({ authenticate: async () => (asked++, { ok: false, reason: 'INVALID' }) })
    const answers = await times(30, (at) => post(url, '{ hello }', { token: `guess-${at}` }))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(PER_MINUTE)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(30 - PER_MINUTE)
    expect(asked).toBe(PER_MINUTE)
    expect(refusals.filter((code) => code === 'RATE_LIMITED')).toHaveLength(30 - PER_MINUTE)
    const refused = answers.find(({ status }) => status === 429)!
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0')
  })

  test('that are good cost an address nothing, and whoever came in before is not locked out by guesses of others', async () => {
    const { url, tokens } = await limited()
    const other = { ...principal(), actsAs: '0190a000-0000-7000-8000-00000000000f' }
    for (const token of ['first', 'second']) tokens.set(token, { ok: true, principal: other })
    for (let at = 0; at < 3; at++) await post(url, '{ hello }', { token: at % 2 ? 'first' : 'second' })
    await times(20, (at) => post(url, '{ hello }', { token: `guess-${at}` }))
    await times(20, () => post(url, '{ hello }'))
    expect((await post(url, '{ hello }', { token: 'first' })).status).toBe(200)
    expect((await post(url, '{ hello }', { token: 'user' })).status).toBe(429)
  })

  test('that stop being good are counted as wrong', async () => {
    const { url, tokens } = await limited()
    await post(url, '{ hello }', { token: 'user' })
    tokens.delete('user')
    const answers = []
    for (let at = 0; at < 10; at++) answers.push((await post(url, '{ hello }', { token: 'user' })).status)
    expect(answers).toEqual([401, 401, 401, 401, 401, 429, 429, 429, 429, 429])
  })

  test('are not counted as wrong when nobody can tell', async () => {
    let down = true
    const good = { ok: true, principal: principal() } as const
    const authenticate = () => (down ? Promise.reject(new Error('down')) : Promise.resolve(good))
    const { url } = await limited({ authenticate })
    for (let at = 0; at < 10; at++) expect((await post(url, '{ hello }', { token: 'user' })).status).toBe(503)
    down = false
    expect((await post(url, '{ hello }', { token: 'user' })).status).toBe(200)
  })
})

test('the body of a caller who has nothing left is not read (B3, B15)', async () => {
  const { url } = await limited()
  await times(PER_MINUTE + 1, () => post(url, '{ hello }'))
  const headers = { 'content-type': 'application/json', 'content-length': '4000000' }
  const asked = request(url, { method: 'POST', headers })
  asked.on('error', () => undefined)
  asked.write('{')
  const [response] = (await once(asked, 'response')) as [{ statusCode: number }]
  expect(response.statusCode).toBe(429)
  asked.destroy()
})

describe('an operation that costs much', () => {
  const COSTLY = 'query ($n: Int) { item { items(first: $n) { name } } }'

  test('counts as several requests, which the headers show; ordinary ones count as one (B3)', async () => {
    const { url } = await serve({ requestsPerMinute: 100 })
    const rest = async (n: number) => Number((await post(url, COSTLY, { variables: { n } })).headers.get('x-ratelimit-remaining'))
    expect(await rest(900)).toBe(99)
    expect(await rest(2_500)).toBe(96)
    expect(await rest(9_900)).toBe(86)
  })

  test('is refused when too little is left, and leaves that to others', async () => {
    const { url, refusals } = await serve({ requestsPerMinute: 10 })
    await post(url, COSTLY, { variables: { n: 5_100 } })
    const refused = await post(url, COSTLY, { variables: { n: 9_900 } })
    expect(refused.status).toBe(429)
    expect(refused.errors![0]!.message).toBe('The operation costs 9902, which counts as 10 requests.')
    expect(refused.errors![0]!.extensions).toMatchObject({ code: 'RATE_LIMITED', limit: 10, remaining: 3 })
    expect(refused.headers.get('retry-after')).not.toBeNull()
    expect(refusals).toEqual(['RATE_LIMITED'])
    expect((await post(url, '{ hello }')).status).toBe(200)
  })

  test('can be asked once a minute even where the limit is smaller than what it counts', async () => {
    const { url } = await serve({ requestsPerMinute: 3 })
    expect((await post(url, COSTLY, { variables: { n: 9_900 } })).status).toBe(200)
    expect((await post(url, '{ hello }')).status).toBe(429)
  })
})

describe('sockets', () => {
  test('are bounded by principal: one too many is closed with 1013, and there is room again when one ends (B3)', async () => {
    const { socketUrl, refusals } = await serve()
    const sockets = await times(100, () => new RawSocket(socketUrl).open('Bearer user'))
    const open = (token: string): RawSocket => {
      const raw = new RawSocket(socketUrl)
      raw.socket.once('open', () => raw.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }))
      return raw
    }
    expect(await open('user').closed).toEqual({ code: 1013, reason: 'Too many sockets' })
    expect(refusals).toEqual(['RATE_LIMITED'])
    sockets[0]!.socket.close()
    await sockets[0]!.closed
    await open('user').next('connection_ack')
  })

  test('are as many as the settings say', async () => {
    const { socketUrl } = await serve({ config: { socketsPerPrincipal: 2, unnamedSocketsPerAddress: 1 } })
    for (let at = 0; at < 2; at++) await new RawSocket(socketUrl).open('Bearer user')
    const third = new RawSocket(socketUrl)
    await once(third.socket, 'open')
    expect(await new RawSocket(socketUrl).closed).toEqual({ code: 1013, reason: 'Too many sockets' })
    third.send({ type: 'connection_init', payload: { authorization: 'Bearer user' } })
    expect((await third.closed).code).toBe(1013)
  })

  test('opened too often are closed with 1013: opening and closing them is not free (B3)', async () => {
    const { socketUrl } = await limited()
    for (let at = 0; at < PER_MINUTE; at++) (await new RawSocket(socketUrl).open('Bearer user')).socket.close()
    const raw = new RawSocket(socketUrl)
    await once(raw.socket, 'open')
    raw.send({ type: 'connection_init', payload: { authorization: 'Bearer user' } })
    expect(await raw.closed).toEqual({ code: 1013, reason: 'Too many sockets in a minute' })
  })

  test('with wrong tokens are counted like requests with them (B3)', async () => {
    const { socketUrl } = await limited()
    const codes = []
    for (let at = 0; at < PER_MINUTE + 2; at++) {
      const raw = new RawSocket(socketUrl)
      await once(raw.socket, 'open')
      raw.send({ type: 'connection_init', payload: { authorization: `Bearer guess-${at}` } })
      codes.push((await raw.closed).code)
    }
    expect(codes).toEqual([4401, 4401, 4401, 4401, 4401, 1013, 1013])
  })

  test('that never say who they are count as requests of their address, and are bounded by address (B3)', async () => {
    const { url, socketUrl, refusals } = await limited()
    const sockets = await times(100, async () => {
      const raw = new RawSocket(socketUrl)
      await once(raw.socket, 'open')
      return raw
    })
    expect(await new RawSocket(socketUrl).closed).toEqual({ code: 1013, reason: 'Too many sockets' })
    expect(refusals).toEqual(['RATE_LIMITED'])
    for (const { socket } of sockets) socket.close()
    await Promise.all(sockets.map(({ closed }) => closed))
    expect((await post(url, '{ hello }')).status).toBe(429)
  })
})

describe('behind proxies', () => {
  const from = (url: string, forwarded: string) => post(url, '{ hello }', { headers: { 'x-forwarded-for': forwarded } })

  test('callers are counted by what the trusted ones say, not by what callers say themselves (B3)', async () => {
    const { url } = await limited({ config: { trustedProxies: ['127.0.0.1', '10.0.0.0/8'] } })
    expect(letIn(await times(20, (at) => from(url, `203.0.113.${at}, 192.0.2.1`)))).toBe(PER_MINUTE)
    expect(letIn(await times(20, (at) => from(url, `203.0.113.${at}, 192.0.2.2, 10.1.2.3`)))).toBe(PER_MINUTE)
    expect((await from(url, '192.0.2.3')).status).toBe(200)
    expect((await from(url, '192.0.2.1')).status).toBe(429)
  })

  test('a proxy that is not trusted speaks for itself alone', async () => {
    const { url } = await limited({ config: { trustedProxies: ['10.0.0.0/8'] } })
    expect(letIn(await times(20, (at) => from(url, `192.0.2.${at}`)))).toBe(PER_MINUTE)
  })

  test('an IPv6 caller is its network: changing the address within it changes nothing', async () => {
    const { url } = await limited({ config: { trustedProxies: ['127.0.0.1'] } })
    expect(letIn(await times(20, (at) => from(url, `2001:db8:1:2::${at}`)))).toBe(PER_MINUTE)
    expect((await from(url, '2001:db8:1:3::1')).status).toBe(200)
  })
})

describe.skipIf(!hasRedis)('two servers of a fleet', async () => {
  const redis = hasRedis ? await testRedis() : undefined

  async function member(requestsPerMinute = PER_MINUTE) {
    const log = createLog('silent')
    const connection = await connectRedis(redis!.url, log)
    onTestFinished(() => connection.close())
    const createLimiter = createRedisLimiters({ redis: connection, log, registry: new Registry() })
    const served = await serve({ createLimiter, requestsPerMinute })
    return { ...served, connection }
  }

  test('count together, by principal and by address; so do their sockets (B3)', async () => {
    const [one, two] = [await member(), await member()]
    await (await one.connection.reached).flushall()
    const urls = [one.url, two.url]
    // each knows the token: those that come at once with one that is new count as guesses until it turns out to be good
    const first = [await post(one.url, '{ hello }', { token: 'user' }), await post(two.url, '{ hello }', { token: 'user' })]
    const more = await times(30, (at) => post(urls[at % 2]!, '{ hello }', { token: 'user' }))
    expect(letIn([...first, ...more])).toBe(PER_MINUTE)
    expect(letIn(await times(30, (at) => post(urls[at % 2]!, '{ hello }')))).toBe(PER_MINUTE)
    const wrong = await times(30, (at) => post(urls[at % 2]!, '{ hello }', { token: `guess-${at}` }))
    expect(wrong.filter(({ status }) => status === 401)).toHaveLength(PER_MINUTE)
    const socket = await new RawSocket(two.socketUrl).open('Bearer user')
    // where Redis is too slow for once, the server counts alone
    const refused = await vi.waitFor(async () => {
      const id = newUuid()
      socket.subscribe(id, '{ hello }')
      const heard = await socket.heard((message) => message.id === id)
      expect(heard.type).toBe('error')
      return heard
    })
    expect(refused.payload).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }])
  })

  test('go on answering, each within its own limit, while Redis is away (B3)', async () => {
    const [one, two] = [await member(), await member()]
    await redis!.stop()
    for (const { url } of [one, two]) {
      const answers = []
      for (let at = 0; at < 10; at++) answers.push(await post(url, '{ hello }', { token: 'user' }))
      expect(letIn(answers)).toBe(PER_MINUTE)
      expect(codeOf(answers[9]!)).toBe('RATE_LIMITED')
    }
    await redis!.start()
  })
})

test('each operation of a principal that is admitted is counted for what is unusual, at both doors; nobody else is (B14)', async () => {
  const { url, socketUrl, counted } = await serve()
  await post(url, '{ hello }', { token: 'user' })
  await post(url, '{ hello }')
  await post(url, '{ unknown }', { token: 'user' })
  expect(counted).toEqual(['UNUSUAL_REQUESTS'])
  const socket = await new RawSocket(socketUrl).open()
  socket.subscribe('one', '{ hello }')
  await socket.next('complete', 'one')
  expect(counted).toEqual(['UNUSUAL_REQUESTS', 'UNUSUAL_REQUESTS'])
})
