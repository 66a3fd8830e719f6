/** The rules of graphql-transport-ws, each with its close code. https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { FeedSource } from '../../src/api/feed.ts'
import { connect, post, principal, RawSocket, serve } from './test-server.ts'

afterEach(() => void vi.useRealTimers())

async function opened(url: string): Promise<RawSocket> {
  const raw = new RawSocket(url)
  await once(raw.socket, 'open')
  return raw
}

/** The code in the close frame that is the first thing a peer with this sub-protocol gets. */
function closeCodeFor(url: string, protocol: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...{ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      ...{ 'sec-websocket-key': Buffer.alloc(16, 1).toString('base64'), 'sec-websocket-protocol': protocol },
    }
    request(url.replace('ws:', 'http:'), { headers })
      .once('upgrade', (_response, socket, head) => {
        const frame = (bytes: Buffer) => {
          socket.destroy()
          resolve(bytes[0] === 0x88 ? bytes.readUInt16BE(2) : -1)
        }
        if (head.length > 0) frame(head)
        else socket.once('data', frame)
      })
      .once('response', (response) => reject(new Error(`refused with ${response.statusCode}`)))
      .once('error', reject)
      .end()
  })
}

describe('before connection_ack', () => {
  test('a socket of another sub-protocol, or of none, closes 4406 (B11)', async () => {
    const { socketUrl } = await serve()
    expect(await closeCodeFor(socketUrl, 'graphql-ws')).toBe(4406)
    expect(await closeCodeFor(socketUrl, 'soap, mqtt')).toBe(4406)
    const without = new WebSocket(socketUrl)
    const [code] = (await once(without, 'close')) as [number]
    expect(code).toBe(4406)
  })

  test('of several sub-protocols ours is taken', async () => {
    const { socketUrl } = await serve()
    const socket = new WebSocket(socketUrl, ['graphql-ws', 'graphql-transport-ws'])
    await once(socket, 'open')
    expect(socket.protocol).toBe('graphql-transport-ws')
    socket.terminate()
  })

  test('silence closes 4408 after four seconds (B11)', async () => {
    const { socketUrl } = await serve()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const raw = await opened(socketUrl)
    raw.send({ type: 'ping' })
    await raw.next('pong')
    await vi.advanceTimersByTimeAsync(3_999)
    expect(raw.socket.readyState).toBe(WebSocket.OPEN)
    await vi.advanceTimersByTimeAsync(1)
    expect((await raw.closed).code).toBe(4408)
  })

  test('a subscribe closes 4401, also with a persisted id or a bad document (B11)', async () => {
    const { socketUrl, calls } = await serve()
    for (const query of ['mutation { touch }', '{ malformed']) {
      const raw = await opened(socketUrl)
      raw.subscribe('a', query)
      expect(await raw.closed).toEqual({ code: 4401, reason: 'Unauthorized' })
      expect(raw.received).toEqual([])
    }
    expect(calls).toHaveLength(0)
  })

  test('a subscribe while the token is being checked closes 4401', async () => {
    const asked = Promise.withResolvers<void>()
    const { socketUrl, calls } = await serve({ authenticate: () => (asked.resolve(), new Promise(() => undefined)) })
    const raw = await opened(socketUrl)
    raw.send({ type: 'connection_init', payload: { authorization: 'Bearer any' } })
    await asked.promise
    raw.subscribe('a', 'mutation { touch }')
    expect((await raw.closed).code).toBe(4401)
    expect(calls).toHaveLength(0)
  })

  test('a second connection_init closes 4429, whether or not the first was acknowledged (B11)', async () => {
    const { socketUrl } = await serve()
    const both = await opened(socketUrl)
    both.send({ type: 'connection_init', payload: { authorization: 'Bearer user' } })
    both.send({ type: 'connection_init', payload: { authorization: 'Bearer user' } })
    expect((await both.closed).code).toBe(4429)
    const later = await new RawSocket(socketUrl).open()
    later.send({ type: 'connection_init' })
    expect(await later.closed).toEqual({ code: 4429, reason: 'Too many initialisation requests' })
  })
})

describe('after connection_ack', () => {
  test('an id that is in use closes 4409; one whose operation has ended is free again (B11)', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.subscribe('a', '{ hello }')
    await raw.next('complete', 'a')
    raw.subscribe('a', 'subscription { events }')
    raw.subscribe('a', '{ hello }')
    expect(await raw.closed).toEqual({ code: 4409, reason: 'Subscriber for a already exists' })
  })

  test('names of built-in properties are ids like any other', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    for (const id of ['__proto__', 'constructor', 'toString']) {
      raw.subscribe(id, '{ hello }')
      expect((await raw.next('next', id)).payload.data).toEqual({ hello: 'world' })
    }
  })

  test.each([
    ['no JSON', 'nonsense'],
    ['an empty message', ''],
    ['null', 'null'],
    ['a list', []],
    ['no type', { id: 'a' }],
    ['a type that is none', { type: 'start', id: 'a' }],
    ['a type that is no text', { type: 1 }],
    ['a message for clients', { type: 'connection_ack' }],
    ['`next` from a client', { type: 'next', id: 'a', payload: {} }],
    ['a subscribe without an id', { type: 'subscribe', payload: { query: '{ hello }' } }],
    ['a subscribe with an empty id', { type: 'subscribe', id: '', payload: { query: '{ hello }' } }],
    ['a subscribe without a payload', { type: 'subscribe', id: 'a' }],
    ['a subscribe without a query', { type: 'subscribe', id: 'a', payload: {} }],
    ['variables that are a list', { type: 'subscribe', id: 'a', payload: { query: '{ hello }', variables: [] } }],
    ['extensions that are a text', { type: 'subscribe', id: 'a', payload: { query: '{ hello }', extensions: 'x' } }],
    ['an operation name that is a number', { type: 'subscribe', id: 'a', payload: { query: '{ hello }', operationName: 1 } }],
    ['a complete without an id', { type: 'complete' }],
    ['a ping with a text', { type: 'ping', payload: 'x' }],
  ])('%s closes 4400 (B11)', async (_name, message) => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.send(message)
    expect((await raw.closed).code).toBe(4400)
  })

  test('a binary message closes 1003, also when it holds a good one (B11)', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.socket.send(Buffer.from(JSON.stringify({ type: 'ping' })))
    expect(await raw.closed).toEqual({ code: 1003, reason: 'Messages are text' })
    expect(raw.received.map(({ type }) => type)).toEqual(['connection_ack'])
  })

  test('text that is not UTF-8 closes 1007 (B11)', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.socket.send(Buffer.from([0x22, 0xff, 0xfe, 0x22]), { binary: false })
    expect((await raw.closed).code).toBe(1007)
  })

  const padded = (bytes: number) => {
    const message = JSON.stringify({ id: 'a', type: 'subscribe', payload: { query: '{ hello } #' } })
    return message.replace('#', `#${'x'.repeat(bytes - message.length)}`)
  }

  test('65,536 bytes pass, one more closes 1009, in one frame or in many (B11)', async () => {
    const { socketUrl, url } = await serve()
    const good = await new RawSocket(socketUrl).open()
    good.send(padded(65_536))
    expect((await good.next('next', 'a')).payload.data).toEqual({ hello: 'world' })
    const large = await new RawSocket(socketUrl).open()
    large.send(padded(65_537))
    expect((await large.closed).code).toBe(1009)
    const parts = await new RawSocket(socketUrl).open()
    for (let part = 0; part < 9; part += 1) parts.socket.send('x'.repeat(8_192), { fin: false })
    expect((await parts.closed).code).toBe(1009)
    expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
  })

  test('ping is answered with its payload, an unasked pong and the completion of what is not there are fine', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.send({ type: 'pong' })
    raw.send({ type: 'complete', id: 'nothing' })
    raw.send({ type: 'ping', payload: { at: 1 } })
    expect(await raw.next('pong')).toEqual({ type: 'pong', payload: { at: 1 } })
  })
})

test('an unmodified graphql-ws client asks, subscribes, leaves and goes on (B11)', async () => {
  const { socketUrl, events } = await serve()
  const closed = Promise.withResolvers<unknown>()
  const client = connect(socketUrl, 'Bearer user', { on: { closed: closed.resolve } })
  const asked = []
  for await (const { data } of client.iterate({ query: '{ hello }' })) asked.push(data)
  expect(asked).toEqual([{ hello: 'world' }])
  const feed = client.iterate({ query: 'subscription { events }' })
  const first = feed.next()
  await events.opened.promise
  events.send('one')
  expect((await first).value.data).toEqual({ events: 'one for USER' })
  await feed.return!()
  await events.returned.promise
  await expect(client.iterate({ query: '{ nothing }' }).next()).rejects.toEqual([
    expect.objectContaining({ extensions: expect.objectContaining({ code: 'BAD_REQUEST' }) }),
  ])
  expect((await client.iterate({ query: '{ who }' }).next()).value.data).toEqual({ who: 'user' })
  await client.dispose()
  expect(await closed.promise).toMatchObject({ code: 1000 })
})

/** Feeds that begin when the test says so; who follows one, and has not left it. */
function lateFeeds() {
  const asked: (() => void)[] = []
  const followers = new Set<object>()
  const waiting: (() => void)[] = []
  const source = new FeedSource({
    follow(_presentation, sink) {
      followers.add(sink)
      return () => void followers.delete(sink)
    },
  })
  const fields = {
    late: {
      type: GraphQLString,
      subscribe: () =>
        new Promise((resolve) => {
          asked.push(() => resolve(source))
          for (const wake of waiting.splice(0)) wake()
        }),
    },
  }
  const schema = new GraphQLSchema({
    query: new GraphQLObjectType({ name: 'Query', fields: { hello: { type: GraphQLString, resolve: () => 'world' } } }),
    subscription: new GraphQLObjectType({ name: 'Subscription', fields }),
  })
  return {
    ...{ schema, asked, followers },
    async askedFor(times: number) {
      while (asked.length < times) await new Promise<void>((resolve) => waiting.push(resolve))
    },
  }
}

describe('who left before the feed began', () => {
  test('an id that is completed and asked again before its answer has one feed, which its `complete` ends (B11)', async () => {
    const { schema, asked, followers, askedFor } = lateFeeds()
    const { socketUrl } = await serve({ schema })
    const raw = await new RawSocket(socketUrl).open()
    for (let time = 0; time < 3; time += 1) {
      raw.subscribe('1', 'subscription { late }')
      if (time < 2) raw.send({ type: 'complete', id: '1' })
    }
    await askedFor(3)
    // the one that stands first: those before it must not take its place
    for (const answer of asked.reverse()) answer()
    raw.subscribe('2', '{ hello }')
    await raw.next('complete', '2')
    expect(followers.size).toBe(1)
    expect(raw.received.filter(({ id }) => id === '1')).toEqual([])
    raw.send({ type: 'complete', id: '1' })
    await expect.poll(() => followers.size).toBe(0)
  })

  test('operations that are completed before their answer count until it is there (B3)', async () => {
    const { schema, askedFor } = lateFeeds()
    const { socketUrl } = await serve({ schema })
    const raw = await new RawSocket(socketUrl).open()
    for (let time = 0; time < 95; time += 1) {
      raw.subscribe('1', 'subscription { late }')
      raw.send({ type: 'complete', id: '1' })
    }
    await askedFor(95)
    for (let id = 2; id < 8; id += 1) raw.subscribe(String(id), 'subscription { late }')
    expect((await raw.next('error', '7')).payload[0].extensions).toMatchObject({ code: 'RATE_LIMITED', limit: 100 })
  })

  test('a stream whose client left while its feed was opened is followed by nobody (B11)', async () => {
    const { schema, asked, followers, askedFor } = lateFeeds()
    const { url } = await serve({ schema })
    const leaving = new AbortController()
    const headers = { 'content-type': 'application/json', accept: 'text/event-stream', authorization: 'Bearer user' }
    const body = JSON.stringify({ query: 'subscription { late }' })
    const left = fetch(url, { method: 'POST', headers, body, signal: leaving.signal }).catch(() => 'left')
    await askedFor(1)
    leaving.abort()
    expect(await left).toBe('left')
    // what leaves is known before what comes after it is answered
    expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
    asked[0]!()
    expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
    await expect.poll(() => followers.size).toBe(0)
  })

  test('a stream whose client left while it was asked who it is holds no place (B3)', async () => {
    const judging: (() => void)[] = []
    let judges = false
    const came = Promise.withResolvers<void>()
    const authenticate = async () => {
      if (judges) await new Promise<void>((resolve) => (judging.push(resolve), came.resolve()))
      return { ok: true, principal: principal('USER') } as const
    }
    const { schema } = lateFeeds()
    const id = createHash('sha256').update('{ hello }').digest('hex')
    const documents = new Map([[id, '{ hello }']])
    const { url } = await serve({
      ...{ schema, authenticate, config: { streamsPerPrincipal: 1 }, persisted: { documents, only: false } },
    })
    const headers = { accept: 'text/event-stream', authorization: 'Bearer user' }
    const ask = (init: RequestInit = {}) => fetch(`${url}?documentId=${id}`, { headers, ...init })
    judges = true
    const leaving = new AbortController()
    const left = ask({ signal: leaving.signal }).catch(() => 'left')
    await came.promise
    leaving.abort()
    expect(await left).toBe('left')
    expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
    judges = false
    for (const go of judging) go()
    await expect.poll(async () => (await ask()).status).toBe(200)
  })
})
