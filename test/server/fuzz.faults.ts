/** Chance at both doors of a whole server: it lives on, every answer is JSON with a code of ours, and nothing from inside is told. */
import { connect } from 'node:net'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { FAULTS } from '../../src/errors.ts'
import { seededChance } from '../harness/seeded.ts'
import type { Chance } from '../harness/seeded.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'
import type { ServerProcess } from '../harness/server-process.ts'
import { post, RawSocket } from './test-server.ts'

const WORDS = [
  ...['{', '}', '(', ')', '[', ']', '...', ':', '$', '@', '!', '=', '|', '&', '#', '"', '"""', '\\', ',', '\n', '\ufeff'],
  ...['query', 'mutation', 'subscription', 'fragment', 'on', 'true', 'null', '1', '-0', '1e400', '"\\ud800"', '"a\\u0000b"'],
  ...['viewer', 'flow', 'flows', 'execution', 'executions', 'node', 'signIn', 'startExecution', 'executionFeed', 'auditEvents'],
  ...['id', 'name', 'input', 'first', 'after', 'filter', 'edges', '__typename', '__schema', '@include(if: true)', '$x'],
]
const GOOD = [
  '{ viewer { id handle role } }',
  'query ($x: Int) { flows(first: $x) { edges { cursor node { id name } } pageInfo { endCursor } } }',
  'query ($x: String) { flow(name: $x) { id } executions(first: 2, after: $x) { edges { node { id status } } } }',
  'query ($x: ID!) { node(id: $x) { id } execution(id: $x) { id state steps { path } } }',
  'mutation ($x: JSON!) { startExecution(input: { flow: "feature_approval", input: $x }) { __typename } }',
  'mutation ($x: StartExecutionInput!) { startExecution(input: $x) { __typename } }',
  'mutation ($x: String!) { signIn(input: { email: $x, password: $x }) { __typename } }',
  'mutation ($x: JSON!) { createFlow(input: { definition: $x }) { __typename } }',
]
/** Of code, of SQL, of files: what an answer must not hold. */
const INSIDE =
  /node_modules|\.ts:\d|\bat \w+ \(|"stack"|\bselect .* from\b|\binsert into\b|sluice\.\w+_|SyntaxError|TypeError|originalError/i

const DEEP = 'a deep value'

function makeJunk({ next, between, pick }: Chance) {
  const many = <T>(most: number, make: () => T): T[] => Array.from({ length: between(0, most) }, make)
  const bytes = () => Buffer.from(many(200, () => between(0, 255)))
  const text = (): string =>
    pick([() => '', () => bytes().toString('latin1'), () => many(30, () => pick(WORDS)).join(' '), () => '\u0000\ud800'])()
  const value = (depth = 0): unknown =>
    pick<() => unknown>([
      ...[() => null, () => next() * 10 ** between(-400, 400), () => between(-(2 ** 53), 2 ** 53), text, () => next() < 0.5],
      ...(depth > 5
        ? []
        : [
            () => many(4, () => value(depth + 1)),
            () =>
              Object.fromEntries(
                many(4, () => [pick([text(), '__proto__', 'constructor', 'flow', 'input', 'toJSON']), value(depth + 1)]),
              ),
          ]),
    ])()
  const mutated = (good: string): string => {
    const at = between(0, good.length)
    return pick([
      () => good.slice(0, at) + good.slice(at + between(1, 9)),
      () => good.slice(0, at) + pick(WORDS) + good.slice(at),
      () => good.slice(0, at) + text() + good.slice(at),
      () => good + good,
    ])()
  }
  const query = (): string =>
    pick([() => pick(GOOD), () => mutated(pick(GOOD)), () => many(60, () => pick(WORDS)).join(' '), text])()
  const variables = (): unknown => pick<() => unknown>([() => ({ x: value() }), () => ({ x: DEEP }), value])()
  const params = () => ({ query: query(), variables: variables(), ...(next() < 0.1 && { [text()]: value() }) })
  /** As JSON; what stands for a deep value becomes one, which `JSON.stringify` could not write. */
  const json = (sent: unknown): string => {
    const depth = between(1, 20_000)
    return (JSON.stringify(sent) ?? '').replaceAll(`"${DEEP}"`, () => '['.repeat(depth) + ']'.repeat(depth))
  }
  return { bytes, text, value, params, mutated, json }
}

const { env } = await testDatabase()
let server: ServerProcess
let token: string
beforeAll(async () => {
  const directory = await dataDirectory()
  server = await startServerProcess(directory, { ...env, SLUICE_LOG_LEVEL: 'error' })
  const variables = { p: (await readFile(join(directory, 'admin-password'), 'utf8')).trim() }
  const signIn = `mutation ($p: String!) { signIn(input: { email: "admin@sluice.local", password: $p }) { ... on SignInSuccess { accessToken } } }`
  const { data } = await post(`${server.url}/graphql`, signIn, { variables })
  token = (data as { signIn: { accessToken: string } }).signIn.accessToken
}, 70_000)

/** Fails unless every error has a code of ours, is not our fault, and tells nothing. */
function judge(answer: unknown, of: unknown): void {
  const context = JSON.stringify(of)?.slice(0, 2_000)
  expect(JSON.stringify(answer), context).not.toMatch(INSIDE)
  for (const { errors = [] } of [answer].flat() as { errors?: { extensions: { code: string; requestId: string } }[] }[]) {
    for (const { extensions } of errors) {
      expect(Object.keys(FAULTS), context).toContain(extensions.code)
      expect(['INTERNAL', 'UNAVAILABLE'], context).not.toContain(extensions.code)
      expect(extensions.requestId, context).toMatch(/^[\w.-]{8,64}$/)
    }
  }
}

async function stillServes(): Promise<void> {
  expect((await post(`${server.url}/graphql`, '{ viewer { handle } }', { token })).data).toEqual({ viewer: { handle: 'admin' } })
  expect(server.process.exitCode).toBeNull()
  expect(server.output()).not.toMatch(/"level":[56]0/)
}

test('over HTTP (B8, B11, B15)', async () => {
  const chance = seededChance()
  const junk = makeJunk(chance)
  const headers = {
    'content-type': 'application/json',
    accept: 'application/graphql-response+json',
    authorization: `Bearer ${token}`,
  }
  for (let round = 0; round < 300; round += 1) {
    const body = chance.pick<() => Buffer<ArrayBuffer> | string>([
      junk.bytes,
      () => junk.json(junk.value()),
      () => junk.json(junk.params()),
      () => junk.json(junk.params()),
      () => junk.mutated(junk.json(junk.params())),
      () => junk.json([junk.params(), junk.params()]),
    ])()
    const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers, body })
    expect(response.headers.get('content-type')).toMatch(/^application\/(graphql-response\+)?json; charset=utf-8$/)
    judge(await response.json(), String(body))
    if (round % 5 > 0) continue
    const search = new URLSearchParams([
      [chance.pick(['documentId', 'extensions', 'query']), junk.text()],
      ['variables', junk.text()],
    ])
    judge(await (await fetch(`${server.url}/graphql?${search.toString()}`, { headers })).json(), search.toString())
  }
  await stillServes()
}, 180_000)

test('as bytes on a bare connection (B8)', async () => {
  const chance = seededChance()
  const junk = makeJunk(chance)
  const request =
    'POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 25\r\nconnection: close\r\n\r\n{"query":"{ __typename }"}'
  for (let round = 0; round < 100; round += 1) {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1').on('error', () => undefined)
    const closed = once(socket, 'close')
    let reply = ''
    socket.on('data', (chunk) => (reply += String(chunk)))
    socket.end(
      chance.pick<() => Buffer | string>([junk.bytes, () => junk.mutated(request), () => junk.mutated(junk.mutated(request))])(),
    )
    await closed
    expect(reply).not.toMatch(INSIDE)
    if (reply !== '') expect(reply).toMatch(/^HTTP\/1\.1 \d{3} /)
  }
  await stillServes()
}, 180_000)

test('over WebSocket (B11)', async () => {
  const chance = seededChance()
  const junk = makeJunk(chance)
  const url = `${server.url.replace('http', 'ws')}/graphql`
  const open = () => new RawSocket(url).open(`Bearer ${token}`)
  let raw = await open()
  for (let round = 0; round < 150; round += 1) {
    const message = chance.pick<() => string | Buffer>([
      junk.bytes,
      junk.text,
      () => junk.json(junk.value()),
      () => junk.json({ type: 'subscribe', id: `${round}`, payload: junk.params() }),
      () => junk.json({ type: 'subscribe', id: `${round}`, payload: junk.params() }),
      () =>
        junk.json({
          type: chance.pick(['subscribe', 'complete', 'ping', 'pong', 'next', junk.text()]),
          id: junk.value(),
          payload: junk.value(),
        }),
    ])()
    raw.socket.send(message)
    raw.send({ type: 'ping', payload: { round } })
    const ended = await Promise.race([raw.closed, raw.heard(({ payload }) => (payload as { round?: number })?.round === round)])
    for (const received of raw.received) {
      if (received.type === 'error') judge({ errors: received.payload }, String(message))
      else if (received.type === 'next') judge(received.payload, String(message))
    }
    if (!('code' in ended)) continue
    expect([1003, 1007, 1008, 1009, 4400, 4409, 4429], String(message)).toContain(ended.code)
    raw = await open()
  }
  await stillServes()
}, 180_000)
