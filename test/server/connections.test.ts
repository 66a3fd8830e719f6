/** What a connection may do before, beside and without a good request. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { ExecutionResult } from 'graphql'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { post, principal, serve } from './test-server.ts'

const POST = (body: string, more = '') =>
  `POST /graphql HTTP/1.1\r\nhost: sluice\r\ncontent-type: application/json\r\n${more}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
const HELLO = '{"query":"{ hello }"}'

async function dial(url: string): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Everything that comes until the other side closes. */
async function heard(socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

/** Sends and reads to the end. */
async function say(url: string, text: string | Buffer): Promise<string> {
  const socket = await dial(url)
  const reply = heard(socket)
  socket.write(text)
  return reply
}

/** The parts of one raw answer. */
function parts(reply: string) {
  const [head = '', body = ''] = reply.split('\r\n\r\n')
  const [line = '', ...headers] = head.split('\r\n')
  const named = Object.fromEntries(headers.map((header) => header.toLowerCase().split(': ') as [string, string]))
  return { status: Number(line.split(' ')[1]), headers: named, ...(JSON.parse(body) as { errors: { extensions: object }[] }) }
}

describe('what is no good request is answered in JSON with an id, and closed', () => {
  test.each([
    ['bytes', Buffer.from([0, 1, 2, 250, 251]), 400, 'BAD_REQUEST'],
    ['TLS', Buffer.from('16030100a0010000', 'hex'), 400, 'BAD_REQUEST'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'BAD_REQUEST'],
    ['no host', POST(HELLO, 'connection: close\r\n').replace('host: sluice\r\n', ''), 400, 'BAD_REQUEST'],
    ['two lengths', POST(HELLO, 'content-length: 3\r\n'), 400, 'BAD_REQUEST'],
    ['a length and chunks (smuggling)', POST(HELLO, 'transfer-encoding: chunked\r\n'), 400, 'BAD_REQUEST'],
    ['a negative length', POST(HELLO).replace(/content-length: \d+/, 'content-length: -1'), 400, 'BAD_REQUEST'],
    ['a header with a line feed alone', 'GET /graphql HTTP/1.1\r\nhost: a\nx: y\r\n\r\n\u0000', 400, 'BAD_REQUEST'],
    ['two hosts', 'GET /graphql HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n', 400, 'BAD_REQUEST'],
    ['headers over 16 KiB', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(17_000)}\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
    ['many headers', `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(4_000)}\r\n`, 431, 'HEADERS_TOO_LARGE'],
    ['an address over 16 KiB', `GET /${'y'.repeat(17_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, 431, 'HEADERS_TOO_LARGE'],
  ])('%s (B8)', async (_name, text, status, code) => {
    const { url } = await serve()
    const answer = parts(await say(url, text))
    expect(answer.status).toBe(status)
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(answer.headers['x-content-type-options']).toBe('nosniff')
    expect(answer.errors[0]!.extensions).toEqual({ code, requestId: answer.headers['x-request-id'] })
    expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
  })

  test.each([
    ['another path', '/other', {}, 404, 'NOT_FOUND'],
    ['another origin', '/graphql', { origin: 'https://evil.example' }, 403, 'FORBIDDEN'],
    ['the null origin', '/graphql', { origin: 'null' }, 403, 'FORBIDDEN'],
    ['a version that is none', '/graphql', { 'sec-websocket-version': '7' }, 400, 'BAD_REQUEST'],
    ['a key that is none', '/graphql', { 'sec-websocket-key': 'short' }, 400, 'BAD_REQUEST'],
  ])('an upgrade with %s (B7, B11)', async (_name, path, changes, status, code) => {
    const { url } = await serve()
    const headers = {
      ...{ host: 'sluice', connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      ...{ 'sec-websocket-key': Buffer.alloc(16).toString('base64'), 'sec-websocket-protocol': 'graphql-transport-ws' },
      ...changes,
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const answer = parts(await say(url, `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`))
    expect(answer.status).toBe(status)
    expect(answer.errors[0]!.extensions).toEqual({ code, requestId: answer.headers['x-request-id'] })
  })

  test('a body that is refused for its size is answered before it comes, dropped, and the connection is good again', async () => {
    const { url } = await serve()
    const socket = await dial(url)
    const size = 4_000_001
    socket.write(POST('', '').replace('content-length: 0', `content-length: ${size}`))
    expect(String(await once(socket, 'data'))).toContain('413 Payload Too Large')
    const reply = heard(socket)
    socket.write(Buffer.alloc(size, 'x'))
    socket.write(POST(HELLO, 'connection: close\r\n'))
    expect(await reply).toContain('{"hello":"world"}')
  })

  test.each(['gzip', 'deflate', 'br', 'identity'])(
    'a body said to be encoded as %s is refused, whatever is in it',
    async (encoding) => {
      const { url } = await serve()
      const answer = parts(await say(url, POST(HELLO, `connection: close\r\ncontent-encoding: ${encoding}\r\n`)))
      expect(answer).toMatchObject({ status: 415, errors: [{ extensions: { code: 'UNSUPPORTED_MEDIA_TYPE' } }] })
    },
  )
})

describe('what is unusual and good', () => {
  test('requests sent in one breath are answered in their order, also after a refused one', async () => {
    const { url } = await serve()
    const reply = await say(
      url,
      POST('{"query":"{ hello }"}') + POST('{"query":"{ nothing }"}') + POST('{"query":"{ who }"}', 'connection: close\r\n'),
    )
    const bodies = [...reply.matchAll(/^\{.*?\}(?=HTTP|$)/gm)].map(
      ([body]) => JSON.parse(body) as { data?: object; errors?: object[] },
    )
    expect(bodies.map(({ data }) => data)).toEqual([{ hello: 'world' }, undefined, { who: null }])
  })

  test('a client that asks for HTTP/2 by upgrade, as some libraries do on each request, is answered over HTTP/1.1', async () => {
    const { url } = await serve()
    const reply = await say(
      url,
      POST(HELLO, 'connection: Upgrade, HTTP2-Settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n'),
    )
    expect(reply).toContain('HTTP/1.1 200 OK')
    expect(reply).toContain('{"hello":"world"}')
  })

  test('a body that comes byte by byte, and one that is awaited with `expect`, are read', async () => {
    const { url } = await serve()
    const slow = await dial(url)
    slow.setNoDelay(true)
    const reply = heard(slow)
    for (const byte of POST(HELLO, 'connection: close\r\n')) slow.write(byte)
    expect(await reply).toContain('{"hello":"world"}')
    const polite = await dial(url)
    const [head, body] = POST(HELLO, 'connection: close\r\nexpect: 100-continue\r\n').split('\r\n\r\n')
    polite.write(`${head}\r\n\r\n`)
    expect(String(await once(polite, 'data'))).toContain('100 Continue')
    const rest = heard(polite)
    polite.write(body!)
    expect(await rest).toContain('{"hello":"world"}')
  })

  test('a client that ends its side has left: its call is aborted and its connection closed', async () => {
    const asked = Promise.withResolvers<void>()
    const { url } = await serve({ authenticate: () => (asked.resolve(), new Promise(() => undefined)) })
    const socket = await dial(url)
    const reply = heard(socket)
    socket.write(POST(HELLO, 'authorization: Bearer any\r\n'))
    await asked.promise
    socket.end()
    expect(await reply).toBe('')
    expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
  })

  test('of one caller eight large bodies are read at a time, of another too; small ones are not counted (B3)', async () => {
    const { url } = await serve()
    const head = POST('', '').replace('content-length: 0', 'content-length: 4000000')
    const started = await Promise.all(Array.from({ length: 8 }, () => dial(url)))
    for (const socket of started) socket.write(`${head}{`)
    const large = { query: '{ hello }', variables: { x: 'x'.repeat(100_000) } }
    const ask = async (token?: string) => {
      const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
      const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(large) })
      return (await response.json()) as ExecutionResult
    }
    const settled = async (isWanted: (answer: ExecutionResult) => boolean) => {
      for (;;) {
        const answer = await ask()
        if (isWanted(answer)) return answer
      }
    }
    const refused = await settled(({ errors }) => errors !== undefined)
    expect(refused.errors![0]!.extensions).toMatchObject({ code: 'RATE_LIMITED', limit: 8 })
    expect((await ask('user')).data).toEqual({ hello: 'world' })
    expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
    started[0]!.destroy()
    expect((await settled(({ data }) => data !== undefined)).data).toEqual({ hello: 'world' })
  })

  test('connections that say nothing hinder nobody', async () => {
    const { url } = await serve()
    await Promise.all(Array.from({ length: 200 }, () => dial(url)))
    expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
  })
})

test.each(['application/json', 'text/event-stream'])(
  'a token that is revoked while the body comes is refused when it has come: accept %s (B11)',
  async (accept) => {
    const judged = Promise.withResolvers<void>()
    let isGood = true
    const { url } = await serve({
      async authenticate() {
        judged.resolve()
        return isGood ? { ok: true, principal: principal('USER') } : { ok: false, reason: 'REVOKED' }
      },
    })
    const socket = await dial(url)
    const reply = heard(socket)
    const text = POST(HELLO, `authorization: Bearer user\r\naccept: ${accept}\r\nconnection: close\r\n`)
    socket.write(text.slice(0, -5))
    await judged.promise
    isGood = false
    socket.write(text.slice(-5))
    const answer = parts(await reply)
    expect(answer.status).toBe(401)
    expect(answer.errors[0]!.extensions).toMatchObject({ code: 'UNAUTHENTICATED' })
  },
)
