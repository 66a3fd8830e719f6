/** Steps of type `http` through the API: real calls to services on this machine, as flows make them. */
import type { ServerResponse } from 'node:http'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { MASK } from '../../src/masking/mark.ts'
import { testApi } from '../harness/api.ts'
import { startStubService } from '../harness/stub-service.ts'
import type { Asked } from '../harness/stub-service.ts'

type Answer = (asked: Asked, response: ServerResponse) => unknown
let answer: Answer
const stub = await startStubService((asked, response) => answer(asked, response))
const closed = await startStubService(() => undefined)
await closed.close()
afterAll(() => stub.close())
const api = await testApi({ outbound: { allow: [stub.host, closed.host], circuits: { failures: 1_000 } } })
const owner = await api.person()

const json = (body: unknown, status = 200): Answer => {
  return (_asked, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

beforeEach(() => {
  answer = json({ fine: true })
})

const CREATE = `mutation ($definition: JSON!) {
  createFlow(input: { definition: $definition }) {
    __typename ... on CreateFlowSuccess { flow { id } } ... on ValidationProblem { issues { code path message hint } }
  }
}`
const START = `mutation ($flow: String!, $input: JSON!, $waitMs: Int) {
  startExecution(input: { flow: $flow, input: $input, waitMs: $waitMs }) {
    __typename ... on StartExecutionSuccess { execution { id } } ... on Problem { code message }
  }
}`
const READ = `query ($id: ID!) {
  node(id: $id) { ... on Execution {
    id status output error { code message step }
    steps { name status attempt input output error { code message } }
    events(first: 100) { seq type data }
  } }
}`

interface Shown {
  id: string
  status: string
  output: Record<string, unknown> | null
  error: { code: string; message: string; step: string } | null
  steps: { name: string; status: string; attempt: number; input: unknown; output: unknown }[]
  events: { type: string; data: { delayMs?: number } | null }[]
}

let flows = 0

async function create(call: Record<string, unknown>): Promise<string> {
  const name = `calls_${++flows}`
  const definition = { name, steps: { call: { type: 'http', ...call } }, output: { answer: '${{ steps.call.output }}' } }
  const created = await api.run(owner, CREATE, { definition })
  expect(created.data.createFlow).toMatchObject({ __typename: 'CreateFlowSuccess' })
  return name
}

const issuesOf = async (call: Record<string, unknown>): Promise<{ code: string; path: string[] }[]> => {
  const definition = { name: 'wrong', steps: { call: { type: 'http', ...call } } }
  return (await api.run(owner, CREATE, { definition })).data.createFlow.issues
}

async function start(flow: string, input: unknown = {}, waitMs = 20_000): Promise<string> {
  return (await api.run(owner, START, { flow, input, waitMs })).data.startExecution.execution.id
}
const read = async (id: string): Promise<Shown> => (await api.run(owner, READ, { id })).data.node

async function run(call: Record<string, unknown>, input: unknown = {}): Promise<Shown> {
  return read(await start(await create(call), input))
}
const quick = { delay: 'PT0.01S' }

describe('a call', () => {
  test('sends what its templates make, and has status, headers and body as its output', async () => {
    const before = stub.asked.length
    answer = (_asked, response) =>
      response
        .writeHead(201, { 'content-type': 'application/json', etag: '"1"', 'set-cookie': 'a=b', 'x-own': 'x' })
        .end('{"id":7}')
    const shown = await run(
      {
        url: `${stub.url}/users/\${{ input.id }}/orders`,
        query: { q: '${{ input.q }}', page: 2, tags: ['a', 'b'], none: null },
        headers: { 'X-Customer': 'c-${{ input.id }}' },
        body: { order: '${{ input.order }}' },
      },
      { id: 5, q: 'a&b=c', order: { n: 1 } },
    )
    expect(shown).toMatchObject({ status: 'SUCCEEDED', output: { answer: { status: 201, body: { id: 7 } } } })
    expect((shown.output!['answer'] as { headers: object }).headers).toEqual({
      'content-type': 'application/json',
      etag: '"1"',
      date: expect.any(String),
    })
    const [asked] = stub.asked.slice(before)
    expect(asked).toMatchObject({
      method: 'POST',
      path: '/users/5/orders?q=a%26b%3Dc&page=2&tags=a&tags=b',
      body: '{"order":{"n":1}}',
    })
    expect(asked!.headers).toMatchObject({
      'x-customer': 'c-5',
      'content-type': 'application/json',
      'idempotency-key': `${shown.id}/call`,
      'user-agent': 'sluice',
    })
    const [step] = shown.steps
    expect(step!.input).toMatchObject({ method: 'POST', url: `${stub.url}/users/5/orders`, body: { order: { n: 1 } } })
  })

  test('what is put into a URL stays inside its part of it (D3)', async () => {
    const before = stub.asked.length
    const flow = await create({ url: `${stub.url}/users/\${{ input.id }}/orders?of=\${{ input.id }}` })
    for (const id of ['../admin', 'a/b?c=d#e', '\\..\\admin', '%2e%2e', '@evil.example', 'a\r\nx: y', 'ü']) {
      expect((await read(await start(flow, { id }))).status).toBe('SUCCEEDED')
      const url = new URL(stub.asked.at(-1)!.path, stub.url)
      expect(url.pathname).toBe(`/users/${encodeURIComponent(id)}/orders`)
      expect(url.searchParams.get('of')).toBe(id)
    }
    for (const id of ['.', '..']) {
      expect((await read(await start(flow, { id }))).error).toMatchObject({ code: 'EXPRESSION_FAILED' })
    }
    expect(stub.asked.slice(before)).toHaveLength(7)
  })

  test('text stays text, what is no text comes in base64, JSON that is none is a failure', async () => {
    const types: Record<string, string> = { '/text': 'text/plain', '/bytes': 'image/png', '/json': 'application/problem+json' }
    answer = ({ path }, response) =>
      response.writeHead(200, { 'content-type': types[path] }).end(path === '/bytes' ? Buffer.from([137, 80, 255]) : '{words')
    const bodyOf = async (path: string): Promise<unknown> => {
      const { output, error } = await run({ url: stub.url + path })
      return error?.code ?? (output!['answer'] as { body: unknown }).body
    }
    expect(await bodyOf('/text')).toBe('{words')
    expect(await bodyOf('/bytes')).toBe(Buffer.from([137, 80, 255]).toString('base64'))
    expect(await bodyOf('/json')).toBe('HTTP_ANSWER')
  })

  test('an answer over maxBytes is a failure that is not repeated', async () => {
    answer = json('x'.repeat(100))
    const retry = { attempts: 3, on: ['HTTP_ANSWER'], ...quick }
    expect(await run({ url: stub.url, maxBytes: 102, retry })).toMatchObject({ status: 'SUCCEEDED' })
    const shown = await run({ url: stub.url, maxBytes: 101, retry })
    expect(shown).toMatchObject({ status: 'FAILED', error: { code: 'HTTP_ANSWER' }, steps: [{ attempt: 1 }] })
  })

  test('a header that a value would break into two is not sent, and the refusal is audited (A7, D3)', async () => {
    const before = stub.asked.length
    const shown = await run({ url: stub.url, headers: { 'x-name': '${{ input.name }}' } }, { name: 'a\r\nx-admin: yes' })
    expect(shown.error).toMatchObject({
      code: 'HTTP_REFUSED',
      message: 'The header x-name holds characters that it may not hold.',
    })
    expect(stub.asked).toHaveLength(before)
    await expect
      .poll(() =>
        api.database.query(
          `select metadata from sluice.audit_events where type = 'outbound.refused' and error_code = 'HTTP_REFUSED'`,
        ),
      )
      .toMatchObject([{ metadata: { path: 'call' } }])
  })
})

describe('what is repeated (E3)', () => {
  test('a service that is not there is called three times, with growing pauses, and never more', async () => {
    const shown = await run({ url: closed.url, retry: quick })
    expect(shown).toMatchObject({ status: 'FAILED', error: { code: 'HTTP_NETWORK', step: 'call' }, steps: [{ attempt: 3 }] })
    const pauses = shown.events.flatMap(({ data }) => data?.delayMs ?? [])
    expect(pauses).toHaveLength(2)
    expect(pauses[0]).toBeGreaterThanOrEqual(8)
    expect(pauses[1]).toBeGreaterThan(pauses[0]!)
  })

  test('a connection that breaks is called again, with the same key, and the step succeeds', async () => {
    const before = stub.asked.length
    answer = (asked, response) => {
      if (stub.asked.length - before < 3) return response.destroy()
      return json({ fine: true })(asked, response)
    }
    const shown = await run({ url: stub.url, body: { n: 1 }, retry: quick })
    expect(shown).toMatchObject({ status: 'SUCCEEDED', steps: [{ attempt: 3 }] })
    const keys = stub.asked.slice(before).map(({ headers }) => headers['idempotency-key'])
    expect(keys).toEqual(Array.from({ length: 3 }, () => `${shown.id}/call`))
  })

  test('an answer of 4xx or 5xx fails at once', async () => {
    for (const [status, code] of [
      [400, 'HTTP_4XX'],
      [404, 'HTTP_4XX'],
      [429, 'HTTP_4XX'],
      [500, 'HTTP_5XX'],
      [304, 'HTTP_STATUS'],
    ] as const) {
      answer = (_asked, response) => response.writeHead(status).end()
      const shown = await run({ url: stub.url })
      expect(shown).toMatchObject({
        status: 'FAILED',
        error: { code, message: `The service answered ${status}.` },
        steps: [{ attempt: 1 }],
      })
    }
  })

  test('a step may ask for more: by kind of answer, by status, and statuses may be a success', async () => {
    const failing = async (status: number, call: Record<string, unknown>): Promise<number> => {
      answer = (_asked, response) => response.writeHead(status).end()
      return (await run({ url: stub.url, ...call })).steps[0]!.attempt
    }
    expect(await failing(500, { retry: { attempts: 2, on: ['HTTP_5XX'], ...quick } })).toBe(2)
    expect(await failing(429, { retry: { attempts: 2, on: ['HTTP_429'], ...quick } })).toBe(2)
    expect(await failing(428, { retry: { attempts: 2, on: ['HTTP_429'], ...quick } })).toBe(1)
    expect(await run({ url: stub.url, expect: ['2xx', 428] })).toMatchObject({ output: { answer: { status: 428, body: null } } })
  })

  test('a service that says when to come back is heard, as long as maxDelay allows', async () => {
    answer = (_asked, response) => response.writeHead(429, { 'retry-after': '30' }).end()
    const retry = { attempts: 2, on: ['HTTP_429'], delay: 'PT0.01S', maxDelay: 'PT0.2S' }
    const shown = await run({ url: stub.url, retry })
    expect(shown.events.flatMap(({ data }) => data?.delayMs ?? [])).toEqual([200])
  })

  test('a service that does not answer in time is a TIMEOUT; with atMostOnce it is not called again', async () => {
    const before = stub.asked.length
    answer = () => undefined
    const silent = { url: stub.url, timeout: 'PT0.2S', retry: { ...quick, attempts: 2 } }
    expect(await run(silent)).toMatchObject({ error: { code: 'TIMEOUT' }, steps: [{ attempt: 2 }] })
    expect(await run({ ...silent, atMostOnce: true })).toMatchObject({ error: { code: 'TIMEOUT' }, steps: [{ attempt: 1 }] })
    expect(stub.asked.slice(before)).toHaveLength(3)
  })
})

test('canceling ends the call at once, and its connection too (A10)', async () => {
  let ended: (() => void) | undefined
  const isEnded = new Promise<void>((resolve) => (ended = resolve))
  let isAsked: (() => void) | undefined
  const asked = new Promise<void>((resolve) => (isAsked = resolve))
  answer = (_asked, response) => {
    response.on('close', ended!)
    isAsked!()
  }
  const id = await start(await create({ url: stub.url }), {}, 0)
  await asked
  await api.run(owner, 'mutation ($id: ID!) { cancelExecution(input: { id: $id }) { __typename } }', { id })
  await isEnded
  await expect.poll(() => read(id)).toMatchObject({ status: 'CANCELED', steps: [{ status: 'CANCELED' }] })
})

test('inside a map each item is a call of its own, with a key of its own', async () => {
  const before = stub.asked.length
  answer = (asked, response) => json({ doubled: 2 * Number(asked.path.slice(1)) })(asked, response)
  const name = `maps_${++flows}`
  const step = { type: 'http', url: `${stub.url}/\${{ item }}`, headers: { at: '${{ index }}' } }
  const definition = {
    name,
    steps: { each: { type: 'map', over: '${{ input.list }}', step, parallel: 3 } },
    output: { made: '${{ steps.each.output.items.map(one, one.body.doubled) }}' },
  }
  expect((await api.run(owner, CREATE, { definition })).data.createFlow.issues).toBeUndefined()
  const list = Array.from({ length: 20 }, (_, i) => i)
  const shown = await read(await start(name, { list }))
  expect(shown).toMatchObject({ status: 'SUCCEEDED', output: { made: list.map((n) => 2 * n) } })
  const keys = stub.asked.slice(before).map(({ headers }) => `${String(headers['idempotency-key'])} ${String(headers['at'])}`)
  expect(keys.toSorted()).toEqual(list.map((n) => `${shown.id}/each.items[${n}] ${n}`).toSorted())
})

describe('secrets (B9)', () => {
  const SECRET = 'sk_live_Zq9vA7hT4wLmN2x8'
  const SET = `mutation ($name: String!, $value: String!) { setSecret(input: { name: $name, value: $value }) { __typename } }`

  test('go into URL, headers and body when the call is sent, and are shown nowhere', async () => {
    await api.run(owner, SET, { name: 'api_key', value: SECRET })
    answer = (asked, response) => json({ path: asked.path, headers: asked.headers, body: asked.body })(asked, response)
    const before = stub.asked.length
    const shown = await run(
      {
        url: `${stub.url}/hook/\${{ secrets.api_key }}`,
        query: { key: '${{ secrets.api_key }}', q: '${{ input.q }}' },
        headers: { authorization: 'Bearer ${{secrets.api_key}}' },
        body: { deep: [{ key: '${{ secrets.api_key }}' }, '${{ input.q }}'] },
        secrets: ['api_key'],
      },
      { q: '${{ secrets.api_key }} [secret api_key]' },
    )
    const [asked] = stub.asked.slice(before)
    expect(asked!.headers['authorization']).toBe(`Bearer ${SECRET}`)
    expect(asked!.path.startsWith(`/hook/${SECRET}?key=${SECRET}&q=`)).toBe(true)
    expect(JSON.parse(asked!.body)).toEqual({ deep: [{ key: SECRET }, '${{ secrets.api_key }} [secret api_key]'] })
    expect(shown.status).toBe('SUCCEEDED')
    expect(shown.steps[0]!.input).toMatchObject({
      headers: { authorization: MASK },
      body: { deep: [{ key: '[secret api_key]' }, expect.any(String)] },
    })
    const rows = await api.database.query('select input, output from sluice.step_runs')
    expect(JSON.stringify([shown, rows])).not.toContain(SECRET)
    expect(JSON.stringify(shown.output)).toContain(MASK)
  })

  test('are told in full when they are named wrong, or could be sent where a caller says', async () => {
    const url = `${stub.url}/`
    const key = '${{ secrets.api_key }}'
    const cases: [string, Record<string, unknown>][] = [
      ['secrets.0', { url, secrets: ['api_key'] }],
      ['headers.x', { url, headers: { x: '${{ secrets.other }}', y: key }, secrets: ['api_key'] }],
      ['headers.x', { url, headers: { x: `${key} \${{ input.x }}` }, secrets: ['api_key'] }],
      ['url', { url: '${{ input.url }}', headers: { x: key }, secrets: ['api_key'] }],
      ['url', { url: 'https://${{ input.host }}/', headers: { x: key }, secrets: ['api_key'] }],
      ['url', { url: 'https://api.example.com${{ input.host }}/', headers: { x: key }, secrets: ['api_key'] }],
      ['body', { url, method: 'GET', body: {} }],
      ['headers.A', { url, headers: { a: '1', A: '2' } }],
      ['expect.0', { url, expect: ['2x'] }],
      ['retry.on.0', { url, retry: { on: ['HTTP_999'] } }],
      ['url', { url: '${{ input. }}' }],
    ]
    for (const [path, call] of cases) {
      const issues = await issuesOf(call)
      expect(issues?.map((issue) => issue.path.slice(2).join('.'))).toEqual([path])
    }
  })
})
