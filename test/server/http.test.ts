/** The HTTP door: what it lets in, and how it answers. */
import { request } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { describe, expect, test } from 'vitest'
import { codeOf, post, SECRET, serve } from './test-server.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const send = async (url: string, init: RequestInit) => {
  const response = await fetch(url, init)
  const text = await response.text()
  const code = text ? codeOf([JSON.parse(text)].flat()[0]) : undefined
  return { status: response.status, headers: response.headers, text, code }
}

describe('what gets in', () => {
  test('GET queries are refused, whatever they ask', async () => {
    const { url, calls } = await serve()
    for (const query of ['{ who }', 'mutation { touch }']) {
      const answer = await send(`${url}?query=${encodeURIComponent(query)}`, {})
      expect(answer).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' })
      expect(answer.headers.get('allow')).toBe('GET, POST, OPTIONS')
    }
    expect(calls).toHaveLength(0)
  })

  test.each(['PUT', 'DELETE', 'PATCH', 'HEAD'])('%s is refused', async (method) => {
    const { url } = await serve()
    expect((await fetch(url, { method })).status).toBe(405)
  })

  test('bodies that a page could send without preflight are refused: forms, multipart, plain text, no type (B15)', async () => {
    const { url, calls } = await serve()
    const form = new FormData()
    form.set('operations', JSON.stringify({ query: 'mutation { touch }' }))
    const bodies: RequestInit[] = [
      { body: new URLSearchParams({ query: 'mutation { touch }' }) },
      { body: form },
      { body: JSON.stringify({ query: 'mutation { touch }' }) },
      { body: JSON.stringify({ query: 'mutation { touch }' }), headers: { 'content-type': 'application/graphql' } },
      { body: JSON.stringify({ query: 'mutation { touch }' }), headers: { 'content-type': 'application/graphql+json' } },
      { body: Buffer.from('{"query":"mutation { touch }"}') },
      { body: JSON.stringify({ query: 'mutation { touch }' }), headers: { 'content-type': 'application/json; charset=utf-16' } },
    ]
    for (const init of bodies)
      expect(await send(url, { method: 'POST', ...init })).toMatchObject({ status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' })
    expect(calls).toHaveLength(0)
  })

  test('a body needs a length, and 4 MB is the most', async () => {
    const { url } = await serve()
    const stream = new ReadableStream({
      start: (controller) => (controller.enqueue(new TextEncoder().encode('{"query":"{ hello }"}')), controller.close()),
    })
    const chunked = await send(url, { method: 'POST', headers: JSON_TYPE, body: stream, duplex: 'half' } as RequestInit)
    expect(chunked).toMatchObject({ status: 411, code: 'LENGTH_REQUIRED' })
    const body = (size: number) =>
      JSON.stringify({ query: '{ hello }', variables: { x: '' } }).replace('""', `"${'x'.repeat(size - 42)}"`)
    expect(body(4_000_000)).toHaveLength(4_000_000)
    expect((await send(url, { method: 'POST', headers: JSON_TYPE, body: body(4_000_000) })).status).toBe(200)
    expect(await send(url, { method: 'POST', headers: JSON_TYPE, body: body(4_000_001) })).toMatchObject({
      status: 413,
      code: 'PAYLOAD_TOO_LARGE',
    })
  })

  test.each([
    ['JSON that is none', `{"query": ${SECRET}`],
    ['JSON that ends early', `{"query": "${SECRET}`],
    ['null', 'null'],
    ['a text', `"${SECRET}"`],
    ['an empty batch', '[]'],
    ['a batch of what are no operations', `[null, "${SECRET}", {}]`],
    ['a batch of 11', `[${Array(11).fill(`{"query":"{ hello }","variables":{"x":"${SECRET}"}}`).join()}]`],
    ['a batch in a batch', `[[{"query":"{ hello }","variables":{"x":"${SECRET}"}}]]`],
    ['a parameter that is none', `{"query":"{ hello }","qeury":"${SECRET}"}`],
    ['extensions that are a list', `{"query":"{ hello }","extensions":["${SECRET}"]}`],
    ['no query', `{"variables":{"x":"${SECRET}"}}`],
    ['a query that is a number', `{"query":1,"variables":{"x":"${SECRET}"}}`],
    ['variables that are a list', `{"query":"{ hello }","variables":["${SECRET}"]}`],
    ['variables that are a text', `{"query":"{ hello }","variables":"${SECRET}"}`],
    ['an operation name that is an object', `{"query":"{ hello }","operationName":{"x":"${SECRET}"}}`],
  ])('%s is BAD_REQUEST and is not echoed', async (_name, body) => {
    const { url, logged } = await serve()
    const answer = await send(url, {
      method: 'POST',
      headers: { ...JSON_TYPE, accept: 'application/graphql-response+json' },
      body,
    })
    expect(answer).toMatchObject({ status: 400, code: 'BAD_REQUEST' })
    expect(answer.text).not.toContain('sk-live')
    expect(answer.text).not.toContain('originalError')
    expect(logged.join()).not.toContain('sk-live')
  })

  test('bytes that are not UTF-8 are BAD_REQUEST', async () => {
    const { url } = await serve()
    const body = Buffer.concat([Buffer.from('{"query":"{ hello } #'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])
    expect(await send(url, { method: 'POST', headers: JSON_TYPE, body })).toMatchObject({ status: 400, code: 'BAD_REQUEST' })
  })

  test('what is no HTTP is answered by closing, and the server lives on', async () => {
    const { server, url } = await serve()
    const { port } = new URL(server.url)
    await new Promise<void>((resolve) => {
      const socket = connectTcp(Number(port), '127.0.0.1', () => socket.write('\u0000\u0001 nonsense\r\n\r\n'))
      socket.resume().once('close', () => resolve())
    })
    expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
  })

  test('subscriptions are refused where no stream is asked for', async () => {
    const { url, events } = await serve()
    for (const accept of ['multipart/mixed', 'application/graphql-response+json']) {
      const answer = await post(url, 'subscription { events }', { token: 'user', headers: { accept } })
      expect(answer.status).toBe(accept.startsWith('application') ? 400 : 200)
      expect(codeOf(answer)).toBe('BAD_REQUEST')
    }
    events.opened.resolve()
  })
})

describe('who gets in', () => {
  test('without a token a caller is anonymous, with one it is the principal (C1)', async () => {
    const { url } = await serve()
    expect((await post(url, '{ who }')).data).toEqual({ who: null })
    expect((await post(url, '{ who }', { token: 'admin' })).data).toEqual({ who: 'admin' })
  })

  test.each([
    ['Bearer expired', 'EXPIRED'],
    ['Bearer unknown', 'INVALID'],
    ['Basic YWRtaW46YWRtaW4=', 'INVALID'],
    ['Bearer', 'INVALID'],
    ['Bearer a b', 'INVALID'],
    ['', 'INVALID'],
  ])('authorization "%s" is refused and audited, never taken as anonymous', async (authorization, reason) => {
    const { url, refusals } = await serve()
    const answer = await post(url, '{ hello }', { headers: { authorization, accept: 'application/json' } })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect(answer.errors![0]!.extensions).toMatchObject({ code: 'UNAUTHENTICATED', reason })
    expect(answer.data).toBeUndefined()
    expect(refusals).toEqual(['UNAUTHENTICATED'])
  })

  test('when nobody can tell who asks, nobody gets in', async () => {
    const { url } = await serve({ authenticate: () => Promise.reject(new Error(SECRET)) })
    const answer = await post(url, '{ hello }', { token: 'user' })
    expect(answer.status).toBe(503)
    expect(codeOf(answer)).toBe('UNAVAILABLE')
    expect(JSON.stringify(answer)).not.toContain(SECRET)
  })

  test('pages of other origins are refused, on preflight and on the request, and it is audited (B7, E4)', async () => {
    const { url, calls, refusals } = await serve()
    for (const origin of ['https://evil.example', 'null', 'https://app.example.com.evil.example']) {
      const preflight = await fetch(url, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })
      expect(preflight.status).toBe(403)
      expect(preflight.headers.get('access-control-allow-origin')).toBeNull()
      const answer = await post(url, 'mutation { touch }', { headers: { origin } })
      expect(answer.status).toBe(403)
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    }
    expect(calls).toHaveLength(0)
    expect(new Set(refusals)).toEqual(new Set(['FORBIDDEN']))
  })

  test("pages of allowed origins, and the server's own, may call with credentials (B7)", async () => {
    const { url, server } = await serve()
    for (const origin of ['https://app.example.com', server.url, server.url.replace('127.0.0.1', 'localhost')]) {
      const preflight = await fetch(url, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })
      expect(preflight.status).toBe(204)
      expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization')
      const answer = await post(url, '{ hello }', { headers: { origin } })
      expect(answer.data).toEqual({ hello: 'world' })
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin)
      expect(answer.headers.get('access-control-allow-credentials')).toBe('true')
      expect(answer.headers.get('vary')).toContain('origin')
    }
  })

  test('on loopback a page that calls itself like its host is refused: a name may be bound anew to this machine', async () => {
    const { server } = await serve()
    const { port } = new URL(server.url)
    const host = `evil.example:${port}`
    const status = await new Promise((resolve, reject) => {
      const headers = { host, origin: `http://${host}`, 'content-type': 'application/json', 'content-length': 2 }
      request({ port, path: '/graphql', method: 'POST', headers }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end('{}')
    })
    expect(status).toBe(403)
  })
})

describe('how it answers', () => {
  test('the strict media type has the status of what happened, the legacy one 200', async () => {
    const { url } = await serve()
    const ask = async (query: string, accept: string) => {
      const { status, headers } = await post(url, query, { headers: { accept } })
      return [status, headers.get('content-type')]
    }
    const strict = 'application/graphql-response+json; charset=utf-8'
    const legacy = 'application/json; charset=utf-8'
    expect(await ask('{ hello }', '*/*')).toEqual([200, legacy])
    expect(await ask('{ hello }', 'application/json')).toEqual([200, legacy])
    expect(await ask('{ hello }', 'application/json, application/graphql-response+json;q=0.9')).toEqual([200, legacy])
    expect(await ask('{ hello }', 'application/graphql-response+json, application/json;q=0.9')).toEqual([200, strict])
    expect(await ask('{ nothing }', 'application/graphql-response+json')).toEqual([400, strict])
    expect(await ask('{ nothing }', 'application/json')).toEqual([200, legacy])
    expect(await ask('{ refused }', 'application/graphql-response+json')).toEqual([403, strict])
    expect(await ask('{ broken }', 'application/graphql-response+json')).toEqual([200, strict])
    expect(await ask('{ nothing }', 'text/html')).toEqual([200, legacy])
    expect(await ask('{ hello }', 'application/graphql-response+json;q=0')).toEqual([200, legacy])
  })

  test('each answer carries the limit, and past it says when to come back (B3)', async () => {
    const { url } = await serve({ requestsPerMinute: 2 })
    const first = await post(url, '{ hello }')
    expect(first.headers.get('x-ratelimit-limit')).toBe('2')
    expect(first.headers.get('x-ratelimit-remaining')).toBe('1')
    expect(Number(first.headers.get('x-ratelimit-reset'))).toBeGreaterThan(0)
    await post(url, '{ hello }')
    const refused = await post(url, '{ hello }', { headers: { accept: 'application/json' } })
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect((await post(url, '{ hello }', { token: 'user' })).status).toBe(200)
  })

  test('security headers stand on every answer (B8)', async () => {
    const { url, server } = await serve()
    for (const [path, init] of [
      [url, { method: 'POST' }],
      [url, { headers: { accept: 'text/html' } }],
      [`${server.url}/nothing`, {}],
      [`${server.url}/health/live`, {}],
    ] as const) {
      const { headers } = await fetch(path, init)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('x-frame-options')).toBe('DENY')
      expect(headers.get('content-security-policy')).toContain("script-src 'self';")
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      expect(headers.get('strict-transport-security')).toBeNull()
      expect(headers.get('x-powered-by')).toBeNull()
    }
  })

  test('in production browsers are told to come by https only, unless the public address is not (B8)', async () => {
    const told = async (publicUrl?: string) => {
      const { url } = await serve({ production: true, config: { publicUrl } })
      return (await fetch(url)).headers.get('strict-transport-security')
    }
    expect(await told()).toBe('max-age=31536000; includeSubDomains')
    expect(await told('https://flows.example.com')).toBe('max-age=31536000; includeSubDomains')
    expect(await told('http://localhost:4000')).toBeNull()
  })

  test("a caller's request id comes back and stands in errors; one that could forge a log line does not", async () => {
    const { url } = await serve()
    const own = await post(url, '{ nothing }', { headers: { 'x-request-id': 'trace-1234567' } })
    expect(own.headers.get('x-request-id')).toBe('trace-1234567')
    expect(own.errors![0]!.extensions['requestId']).toBe('trace-1234567')
    const forged = await post(url, '{ nothing }', { headers: { 'x-request-id': '{"level":60}' } })
    expect(forged.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('other paths are NOT_FOUND', async () => {
    const { server } = await serve()
    for (const path of ['/', '/graphql/', '/graphql/assets/nothing.js', '/graphql/assets/..%2f..%2fpackage.json', '/metrics']) {
      expect(await send(`${server.url}${path}`, {})).toMatchObject({ status: 404, code: 'NOT_FOUND' })
    }
  })

  test('a caller who leaves aborts the signal of its call', async () => {
    const { url, calls } = await serve()
    const answer = await post(url, '{ who }', { token: 'user' })
    expect(answer.data).toEqual({ who: 'user' })
    await fetch(url, {
      method: 'POST',
      headers: { ...JSON_TYPE, connection: 'close' },
      body: JSON.stringify({ query: '{ who }' }),
    }).then((response) => response.text())
    const { signal } = calls.at(-1)!
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    expect(signal.aborted).toBe(true)
  })
})
