/** The WebSocket door: handshake, tokens, messages, feeds, draining. */
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { connect, post, principal, RawSocket, SECRET, serve } from './test-server.ts'

/** The HTTP status that refuses a handshake. */
const handshake = (url: string, protocol: string | undefined, headers: Record<string, string> = {}) =>
  new Promise<number>((resolve, reject) => {
    const socket = new WebSocket(url, protocol ? [protocol] : [], { headers })
    socket.once('open', () => (socket.terminate(), resolve(101)))
    socket.once('unexpected-response', (_request, response) => resolve(response.statusCode!))
    socket.once('error', reject)
  })

describe('the handshake', () => {
  test('other origins get 403, allowed ones and programs without an origin get in (B7, B11)', async () => {
    const { socketUrl, server, refusals } = await serve()
    const protocol = 'graphql-transport-ws'
    expect(await handshake(socketUrl, protocol, { origin: 'https://evil.example' })).toBe(403)
    expect(refusals).toEqual(['FORBIDDEN'])
    expect(await handshake(socketUrl, protocol, { origin: 'https://app.example.com' })).toBe(101)
    expect(await handshake(socketUrl, protocol, { origin: server.url })).toBe(101)
    expect(await handshake(socketUrl, protocol)).toBe(101)
  })

  test('only graphql-transport-ws at /graphql', async () => {
    const { socketUrl } = await serve()
    await expect(handshake(socketUrl, 'graphql-ws')).rejects.toThrow('Server sent no subprotocol')
    expect(await handshake(socketUrl.replace('/graphql', '/other'), 'graphql-transport-ws')).toBe(404)
  })

  test('messages are not compressed', async () => {
    const { socketUrl } = await serve()
    const { socket } = await new RawSocket(socketUrl).open()
    expect(socket.extensions).toBe('')
  })
})

describe('the token', () => {
  test.each([
    [undefined, 4401],
    ['Bearer unknown', 4401],
    ['user', 4401],
    ['Bearer expired', 4403],
  ])('connection_init with %s closes %i, and is audited (B11)', async (authorization, code) => {
    const { socketUrl, refusals } = await serve()
    const raw = new RawSocket(socketUrl)
    await new Promise((resolve) => raw.socket.once('open', resolve))
    raw.send({ type: 'connection_init', payload: authorization && { authorization } })
    expect((await raw.closed).code).toBe(code)
    expect(raw.received).toEqual([])
    expect(refusals).toEqual(['UNAUTHENTICATED'])
  })

  test('what is sent in one breath with a bad token is not answered', async () => {
    const { socketUrl, calls } = await serve()
    const raw = new RawSocket(socketUrl)
    await new Promise((resolve) => raw.socket.once('open', resolve))
    raw.send({ type: 'connection_init', payload: { authorization: 'Bearer unknown' } })
    raw.subscribe('a', 'mutation { touch }')
    await raw.closed
    expect(raw.received).toEqual([])
    expect(calls).toHaveLength(0)
  })

  test('when nobody can tell whose token it is, the client is told to come back: 1013', async () => {
    const { socketUrl } = await serve({ authenticate: () => Promise.reject(new Error(SECRET)) })
    const raw = new RawSocket(socketUrl)
    await new Promise((resolve) => raw.socket.once('open', resolve))
    raw.send({ type: 'connection_init', payload: { authorization: 'Bearer any' } })
    expect(await raw.closed).toEqual({ code: 1013, reason: 'Try again later' })
  })

  test('an operation before connection_init closes 4401', async () => {
    const { socketUrl } = await serve()
    const raw = new RawSocket(socketUrl)
    await new Promise((resolve) => raw.socket.once('open', resolve))
    raw.subscribe('a', '{ hello }')
    expect((await raw.closed).code).toBe(4401)
  })

  test('a token that expires closes 4403 without `complete` (B11)', async () => {
    const { socketUrl, tokens } = await serve()
    tokens.set('short', { ok: true, principal: principal('USER', Date.now() + 200) })
    const raw = await new RawSocket(socketUrl).open('Bearer short')
    raw.subscribe('a', 'subscription { events }')
    expect(await raw.closed).toEqual({ code: 4403, reason: 'Token expired' })
    expect(raw.received.map(({ type }) => type)).toEqual(['connection_ack'])
  })
})

describe('documents and messages', () => {
  test('a malformed, unknown or refused document is an `error` message with a code; the socket stays', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    const refused = [
      '{ hello',
      '{ nothing }',
      'subscription { forbidden }',
      'subscription { nothing }',
      'subscription S($x: Int!) { events }',
    ]
    for (const [at, query] of refused.entries()) {
      raw.subscribe(`r${at}`, query)
      const { payload } = await raw.next('error', `r${at}`)
      expect(payload[0].extensions).toEqual({ code: at === 2 ? 'FORBIDDEN' : 'BAD_REQUEST', requestId: expect.any(String) })
    }
    raw.subscribe('good', '{ hello }')
    expect((await raw.next('next', 'good')).payload.data).toEqual({ hello: 'world' })
    expect(raw.received.filter(({ type }) => type === 'complete').map(({ id }) => id)).not.toContain('r2')
  })

  test.each([
    ['text that is no message', 'nonsense', 4400],
    ['an unknown type', { type: 'start' }, 4400],
    ['a query that is no text', { id: '1', type: 'subscribe', payload: { query: 5 } }, 4400],
    ['a second connection_init', { type: 'connection_init' }, 4429],
    ['a message over 64 KiB', `{"id":"1","type":"subscribe","payload":{"query":"{ hello } #${'x'.repeat(65_536)}"}}`, 1009],
  ])('%s closes the socket', async (_name, message, code) => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.send(message)
    expect((await raw.closed).code).toBe(code)
  })

  test('more than 200 messages in a second close the socket', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    for (let count = 0; count < 1_000; count += 1) raw.send({ type: 'ping' })
    expect((await raw.closed).code).toBe(1008)
  })

  test('the 101st operation at a time is refused, and there is room again when one ends', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    for (let count = 0; count < 100; count += 1) raw.subscribe(`s${count}`, 'subscription { events }')
    raw.subscribe('one more', 'subscription { events }')
    expect((await raw.next('error', 'one more')).payload[0].extensions.code).toBe('RATE_LIMITED')
    raw.send({ id: 's0', type: 'complete' })
    raw.subscribe('query', '{ hello }')
    expect((await raw.next('next', 'query')).payload.data).toEqual({ hello: 'world' })
  })

  test('queries and mutations run as the principal of the socket', async () => {
    const { socketUrl } = await serve()
    const client = connect(socketUrl, 'Bearer admin')
    const results = []
    for await (const result of client.iterate({ query: '{ who }' })) results.push(result.data)
    for await (const result of client.iterate({ query: 'mutation { touch }' })) results.push(result.data)
    expect(results).toEqual([{ who: 'admin' }, { touch: true }])
  })
})

describe('subscriptions', () => {
  test('an event that fails to render is a masked error in its place, and the next one comes', async () => {
    const { socketUrl, events } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.subscribe('a', 'subscription { events }')
    await events.opened.promise
    events.send(new Error(SECRET))
    const { payload } = await raw.next('next', 'a')
    expect(payload).toMatchObject({ data: { events: null }, errors: [{ extensions: { code: 'INTERNAL' } }] })
    expect(JSON.stringify(raw.received)).not.toContain(SECRET)
    events.send('more')
    raw.received.length = 0
    expect((await raw.next('next', 'a')).payload.data).toEqual({ events: 'more for USER' })
  })

  test('a source that breaks ends in an `error` message without its text, and the socket stays', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.subscribe('a', 'subscription { ending }')
    expect((await raw.next('next', 'a')).payload.data).toEqual({ ending: 'only' })
    expect((await raw.next('error', 'a')).payload[0]).toMatchObject({ extensions: { code: 'INTERNAL' } })
    expect(JSON.stringify(raw.received)).not.toContain(SECRET)
    raw.subscribe('b', '{ hello }')
    await raw.next('next', 'b')
  })

  test.each(['subscription { away }', 'subscription { goingAway }'])(
    '%s: a feed that the database fails is no `error`, which would be its end: the socket closes 1013, and clients come back (B11)',
    async (query) => {
      const { socketUrl } = await serve()
      const raw = await new RawSocket(socketUrl).open()
      raw.subscribe('a', query)
      expect(await raw.closed).toEqual({ code: 1013, reason: 'Try again later' })
      expect(raw.received.map(({ type }) => type)).not.toContain('error')
    },
  )

  test('a query that the database fails is answered, and the socket stays', async () => {
    const { socketUrl, logged } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.subscribe('a', '{ away }')
    expect((await raw.next('next', 'a')).payload).toMatchObject({
      data: { away: null },
      errors: [{ extensions: { code: 'UNAVAILABLE' } }],
    })
    expect(JSON.stringify(raw.received)).not.toContain(SECRET)
    expect(logged.join('')).toContain('ECONNREFUSED')
    raw.subscribe('b', '{ hello }')
    await raw.next('next', 'b')
  })

  test('leaving ends the source, though it waits for an event that never comes', async () => {
    const { socketUrl, events } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.subscribe('a', 'subscription { events }')
    await events.opened.promise
    raw.send({ id: 'a', type: 'complete' })
    await events.returned.promise
  })

  test('a socket that is gone ends its sources', async () => {
    const { socketUrl, events } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.subscribe('a', 'subscription { events }')
    await events.opened.promise
    events.send('one')
    await raw.next('next', 'a')
    raw.socket.terminate()
    await events.returned.promise
  })
})

describe('draining', () => {
  test('closes sockets with 1012 without `complete`, and is not ready any more', async () => {
    const { server, socketUrl, events } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.subscribe('a', 'subscription { events }')
    await events.opened.promise
    server.drain()
    expect((await raw.closed).code).toBe(1012)
    expect(raw.received.map(({ type }) => type)).toEqual(['connection_ack'])
    await expect(fetch(server.url)).rejects.toThrow()
  })

  test('what is under way is answered before the server has closed', async () => {
    const open = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    const { server, url } = await serve({
      authenticate: async () => {
        asked.resolve()
        await open.promise
        return { ok: true, principal: principal() }
      },
    })
    const answer = post(url, '{ who }', { token: 'any' })
    await asked.promise
    const closed = server.close()
    open.resolve()
    expect((await answer).data).toEqual({ who: 'user' })
    await closed
  })

  test('an unmodified graphql-ws client comes back by itself after 1012', async () => {
    const first = await serve()
    const second = await serve()
    const urls = [first.socketUrl, second.socketUrl]
    const client = connect('', 'Bearer user', {
      url: () => urls.shift() ?? second.socketUrl,
      retryAttempts: 2,
      retryWait: async () => undefined,
    })
    const results = client.iterate({ query: 'subscription { events }' })
    const next = results.next()
    await first.events.opened.promise
    first.server.drain()
    await second.events.opened.promise
    second.events.send('again')
    expect((await next).value.data).toEqual({ events: 'again for USER' })
  })
})
