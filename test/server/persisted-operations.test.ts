/** Persisted operations: what may be named by its hash, over both doors, and what else runs where they are insisted on. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionResult } from 'graphql'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readPersistedOperations } from '../../src/server/persisted-operations.ts'
import { codeOf, post, RawSocket, serve } from './test-server.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const READ = 'query Read { who }'
const ECHO = 'query Echo($text: String) { echo(text: $text) }'
const WRITE = 'mutation Write { touch }'
const WATCH = 'subscription Watch { events }'
const GONE = 'query Gone { removedField }'
const UNKNOWN = sha256('query Unknown { who }')

const documents = new Map([READ, ECHO, WRITE, WATCH, GONE].map((text) => [sha256(text), text]))
const idOf = (text: string) => `sha256:${sha256(text)}`
const PREFLIGHT = { 'graphql-preflight': '1', accept: 'application/graphql-response+json' }

async function get(url: string, search: Record<string, string>, headers: Record<string, string> = PREFLIGHT) {
  const response = await fetch(`${url}?${new URLSearchParams(search).toString()}`, { headers })
  return { status: response.status, headers: response.headers, ...((await response.json()) as ExecutionResult) }
}

/** Posts any parameters. */
async function send(url: string, params: object, token?: string) {
  const headers = {
    ...{ 'content-type': 'application/json', accept: 'application/graphql-response+json' },
    ...(token && { authorization: `Bearer ${token}` }),
  }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(params) })
  return { status: response.status, ...((await response.json()) as ExecutionResult) }
}

const apollo = (text: string) => ({ persistedQuery: { version: 1, sha256Hash: sha256(text) } })

describe('by id', () => {
  test('POST runs it, named as GraphQL over HTTP does or as Apollo does', async () => {
    const { url } = await serve({ persisted: { documents, only: false } })
    for (const params of [
      { documentId: idOf(ECHO) },
      { documentId: sha256(ECHO) },
      { extensions: apollo(ECHO) },
      { query: '', extensions: apollo(ECHO) },
      { query: null, documentId: idOf(ECHO), operationName: 'Echo' },
    ]) {
      expect((await send(url, { ...params, variables: { text: 'x' } })).data).toEqual({ echo: 'x' })
    }
    expect((await send(url, { documentId: idOf(WRITE) }, 'user')).data).toEqual({ touch: true })
  })

  test('GET reads it, with variables and a token, and never caches', async () => {
    const { url } = await serve({ persisted: { documents, only: false } })
    const answer = await get(url, { documentId: idOf(ECHO), variables: '{"text":"x"}' })
    expect(answer).toMatchObject({ status: 200, data: { echo: 'x' } })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('vary')).toBe('origin, accept, authorization')
    expect((await get(url, { extensions: JSON.stringify(apollo(READ)) }, { authorization: 'Bearer user' })).data).toEqual({
      who: 'user',
    })
  })

  test('GET writes nothing and follows nothing (B15)', async () => {
    const { url, calls } = await serve({ persisted: { documents, only: false } })
    const write = await get(url, { documentId: idOf(WRITE) })
    expect(write.status).toBe(405)
    expect(write.headers.get('allow')).toBe('GET, POST, OPTIONS')
    expect(codeOf(write)).toBe('METHOD_NOT_ALLOWED')
    expect((await get(url, { documentId: idOf(WATCH) })).status).toBe(400)
    expect((await get(url, { documentId: idOf(READ), query: WRITE })).status).toBe(405)
    expect(calls).toHaveLength(0)
  })

  test('a GET that any page could cause, without a header of its own, is refused (B15)', async () => {
    const { url, calls } = await serve({ persisted: { documents, only: false } })
    const simple: Record<string, string>[] = [{}, { accept: 'image/*' }, { 'content-type': 'text/plain' }]
    for (const headers of simple) {
      expect((await get(url, { documentId: idOf(READ) }, headers)).status).toBe(400)
    }
    expect(calls).toHaveLength(0)
    for (const header of ['graphql-preflight', 'apollo-require-preflight', 'x-requested-with']) {
      expect((await get(url, { documentId: idOf(READ) }, { [header]: '1' })).status).toBe(200)
    }
    expect((await get(url, { documentId: idOf(READ) }, { 'content-type': 'application/json' })).status).toBe(200)
  })

  test.each([
    [{ documentId: 'sha256:abc' }, 400, 'BAD_REQUEST'],
    [{ documentId: `md5:${UNKNOWN}` }, 400, 'BAD_REQUEST'],
    [{ documentId: idOf(ECHO), variables: '{' }, 400, 'BAD_REQUEST'],
    [{ documentId: idOf(ECHO), variables: '[]' }, 400, 'BAD_REQUEST'],
    [{ documentId: idOf(ECHO), variables: '{"text":1}' }, 400, 'BAD_REQUEST'],
    [{ documentId: idOf(ECHO), operationName: 'Other' }, 400, 'BAD_REQUEST'],
    [{ documentId: `sha256:${UNKNOWN}` }, 404, 'NOT_FOUND'],
  ])('GET %j is %i %s', async (search, status, code) => {
    const { url } = await serve({ persisted: { documents, only: false } })
    const answer = await get(url, search)
    expect(answer.status).toBe(status)
    expect(answer.errors![0]!.extensions).toEqual({ code, requestId: expect.any(String) })
  })

  test('over WebSocket, also a subscription; the socket stays after an unknown id', async () => {
    const { socketUrl, events } = await serve({ persisted: { documents, only: true } })
    const raw = await new RawSocket(socketUrl).open()
    raw.subscribe('bad', '', { documentId: `sha256:${UNKNOWN}` })
    expect((await raw.next('error', 'bad')).payload[0].extensions.code).toBe('NOT_FOUND')
    raw.subscribe('echo', '', { extensions: apollo(ECHO), variables: { text: 'x' } })
    expect((await raw.next('next', 'echo')).payload.data).toEqual({ echo: 'x' })
    raw.subscribe('watch', '', { documentId: idOf(WATCH) })
    await events.opened.promise
    events.send('one')
    expect((await raw.next('next', 'watch')).payload.data).toEqual({ events: 'one for USER' })
  })

  test('the checks are the same: a persisted operation is limited, counted and refused like any other', async () => {
    const large = 'query Large($n: Int) { item { items(first: $n) { name } } }'
    const deep = `{ item ${'{ items(first: 1) '.repeat(16)}{ name }${' }'.repeat(16)} }`
    const persisted = { documents: new Map([large, deep].map((text) => [sha256(text), text])), only: true }
    const { url } = await serve({ persisted })
    expect(codeOf(await send(url, { documentId: idOf(large), variables: { n: 100_000 } }))).toBe('TOO_COMPLEX')
    expect(codeOf(await send(url, { documentId: idOf(deep) }))).toBe('TOO_COMPLEX')
  })
})

describe('nothing is registered by a request', () => {
  test('an id with its text runs the text and is not remembered; one with another text is refused', async () => {
    const { url } = await serve({ persisted: { documents, only: false } })
    const query = 'query Unknown { who }'
    expect(codeOf(await send(url, { documentId: idOf(query) }))).toBe('NOT_FOUND')
    expect((await send(url, { query, extensions: apollo(query) }, 'user')).data).toEqual({ who: 'user' })
    expect(codeOf(await send(url, { documentId: idOf(query) }))).toBe('NOT_FOUND')
    expect(codeOf(await send(url, { query: WRITE, documentId: idOf(READ) }))).toBe('BAD_REQUEST')
  })
})

describe('where nothing else runs', () => {
  test('any other document is FORBIDDEN over both doors, for administrators too, and audited; the socket stays (B15)', async () => {
    const { url, socketUrl, calls, refusals } = await serve({ persisted: { documents, only: true } })
    const raw = await new RawSocket(socketUrl).open('Bearer admin')
    for (const [at, query] of ['{ who }', '{ __schema { types { name } } }', `${READ} `, '{ malformed', ''].entries()) {
      const answer = await send(url, { query }, 'admin')
      expect(answer).toMatchObject({ status: 403, errors: [{ extensions: { code: 'FORBIDDEN' } }] })
      raw.subscribe(`q${at}`, query)
      expect((await raw.next('error', `q${at}`)).payload[0].extensions.code).toBe('FORBIDDEN')
    }
    expect(calls).toHaveLength(0)
    expect(refusals).toEqual(Array(10).fill('FORBIDDEN'))
    raw.subscribe('good', READ)
    expect((await raw.next('next', 'good')).payload.data).toEqual({ who: 'admin' })
  })

  test('the whole text of a persisted operation is as good as its id', async () => {
    const { url } = await serve({ persisted: { documents, only: true } })
    expect((await post(url, READ, { token: 'user' })).data).toEqual({ who: 'user' })
  })

  test('GraphiQL, which could ask nothing, is not served', async () => {
    const { url, server } = await serve({ persisted: { documents, only: true } })
    expect((await fetch(url, { headers: { accept: 'text/html' } })).status).toBe(405)
    expect((await fetch(`${server.url}/graphql/assets/page.js`)).status).toBe(404)
  })

  test('each of a batch is judged by itself', async () => {
    const { url } = await serve({ persisted: { documents, only: true } })
    const batch = [{ documentId: idOf(READ) }, { query: '{ hello }' }]
    const answers = (await send(url, batch, 'user')) as unknown as Record<number, ExecutionResult>
    expect(answers[0]!.data).toEqual({ who: 'user' })
    expect(codeOf(answers[1]!)).toBe('FORBIDDEN')
  })
})

describe('read at start', () => {
  function directory(): string {
    const made = mkdtempSync(join(tmpdir(), 'sluice-persisted-'))
    onTestFinished(() => rmSync(made, { recursive: true }))
    return made
  }
  const file = (path: string, content: unknown) => {
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }

  test("from Code Generator's and Apollo's manifests, and from files of one document", () => {
    const place = directory()
    file(join(place, 'a.json'), { [sha256(READ)]: READ, [idOf(WATCH)]: WATCH })
    file(join(place, 'b.json'), {
      format: 'apollo-persisted-query-manifest',
      version: 1,
      operations: [{ id: sha256(ECHO), body: ECHO }],
    })
    file(join(place, 'write.graphql'), WRITE)
    file(join(place, 'README.md'), 'not read')
    const single = file(join(directory(), 'gone.graphql'), GONE)
    expect(readPersistedOperations([place, single])).toEqual(documents)
    expect(readPersistedOperations([])).toEqual(new Map())
  })

  test('every mistake is listed at once, and stops the start', () => {
    const place = directory()
    mkdirSync(join(place, 'empty'))
    file(join(place, 'a.json'), { [sha256(READ)]: WRITE, [sha256(ECHO)]: ECHO })
    file(join(place, 'b.json'), '{')
    file(join(place, 'c.json'), { [sha256(ECHO)]: 1 })
    const read = () => readPersistedOperations([place, join(place, 'empty')])
    expect(read).toThrow(/a\.json: "\w{64}" is not the SHA-256 of its document\n.*b\.json: .*JSON.*\n.*c\.json: must map hashes/)
    expect(() => readPersistedOperations([join(place, 'absent')])).toThrow(/absent/)
  })

  test('one that does not fit the schema any more is logged at start, answers why, and hinders nobody', async () => {
    const { url, logged } = await serve({ persisted: { documents, only: true } })
    const line = logged
      .map((text) => JSON.parse(text) as Record<string, unknown>)
      .find(({ documentId }) => documentId === sha256(GONE))
    expect(line).toMatchObject({
      msg: 'a persisted operation does not fit the schema',
      problems: [expect.stringContaining('removedField')],
    })
    expect(codeOf(await send(url, { documentId: idOf(GONE) }))).toBe('BAD_REQUEST')
    expect((await send(url, { documentId: idOf(READ) })).status).toBe(200)
  })
})

test('what GraphQL Code Generator extracts from a client, the server runs', { timeout: 60_000 }, async () => {
  const { generate } = await import('@graphql-codegen/cli')
  const [manifest] = (await generate(
    {
      silent: true,
      schema: 'type Query { echo(text: String): String }',
      documents: ['query Greeting { ...Words } fragment Words on Query { echo(text: "hi") }'],
      generates: {
        './client/': { preset: 'client', presetConfig: { persistedDocuments: { hashAlgorithm: 'sha256' } } },
      },
    },
    false,
  ).then((files: { filename: string; content: string }[]) =>
    files.filter(({ filename }) => filename.endsWith('persisted-documents.json')),
  )) as { content: string }[]
  const path = join(mkdtempSync(join(tmpdir(), 'sluice-persisted-')), 'persisted-documents.json')
  onTestFinished(() => rmSync(path))
  writeFileSync(path, manifest!.content)
  const extracted = readPersistedOperations([path])
  const { url } = await serve({ persisted: { documents: extracted, only: true } })
  expect((await send(url, { documentId: `sha256:${[...extracted.keys()][0]}` })).data).toEqual({ echo: 'hi' })
})
