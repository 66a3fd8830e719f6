/** Whatever HTTP refuses, the socket refuses with the same code and text, and stays open. */
import type { ExecutionResult } from 'graphql'
import { describe, expect, test } from 'vitest'
import { codeOf, RawSocket, SECRET, serve } from './test-server.ts'

interface Hostile {
  readonly query: string
  readonly variables?: object
  readonly operationName?: string
  readonly extensions?: object
  readonly documentId?: unknown
  readonly qeury?: string
}

const times = (count: number, make: (at: number) => string) => Array.from({ length: count }, (_, at) => make(at)).join(' ')

const HOSTILE: Readonly<Record<string, Hostile>> = {
  nothing: { query: '' },
  blanks: { query: ' \n\t,,' },
  'a control character': { query: '{ hello \u0000 }' },
  'a lone surrogate': { query: '{ echo(text: "\ud800") ' },
  'no end': { query: '{ hello' },
  'no beginning': { query: '}' },
  'a fragment alone': { query: 'fragment F on Item { name }' },
  'a type definition': { query: 'type Query { x: Int }' },
  'an extension of the schema': { query: '{ hello } extend type Query { x: Int }' },
  'two operations': { query: 'query A { hello } query B { hello }', operationName: 'A' },
  'two without a name': { query: '{ hello } { hello }' },
  'two of one name': { query: 'query A { hello } query A { who }', operationName: 'A' },
  'a wrong operation name': { query: 'query A { hello }', operationName: '__proto__' },
  'an unknown field': { query: '{ nothing }' },
  'an unknown argument': { query: '{ hello(x: 1) }' },
  'an unknown type': { query: 'query ($x: Nothing) { hello }' },
  'an unknown fragment': { query: '{ ...F }' },
  'an unknown directive': { query: '{ hello @nothing }' },
  'an unused fragment': { query: '{ hello } fragment F on Query { hello }' },
  'an unused variable': { query: 'query ($x: Int) { hello }' },
  'a variable that is not declared': { query: '{ echo(text: $text) }' },
  'a variable twice': { query: 'query ($x: String, $x: String) { echo(text: $x) }' },
  'a fragment of itself': { query: '{ ...F } fragment F on Query { ...F hello }' },
  'fragments in a circle': { query: '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }' },
  'fields that do not merge': { query: '{ a: hello a: who }' },
  'a leaf with fields': { query: '{ hello { x } }' },
  'no fields of an object': { query: '{ item }' },
  'two fields of a subscription': { query: 'subscription { events ending }' },
  'a required variable missing': { query: 'mutation ($i: NoteInput!) { note(input: $i) }' },
  'a required variable null': { query: 'mutation ($i: NoteInput!) { note(input: $i) }', variables: { i: null } },
  'a variable of another type': { query: 'query ($n: Int) { item { items(first: $n) { name } } }', variables: { n: '1' } },
  'a number too large': { query: 'query ($n: Int) { item { items(first: $n) { name } } }', variables: { n: 2 ** 31 } },
  'an input with a field more': {
    query: 'mutation ($i: NoteInput!) { note(input: $i) }',
    variables: { i: { text: '', x: SECRET } },
  },
  'an input with prototype keys': {
    query: 'mutation ($i: NoteInput!) { note(input: $i) }',
    variables: { i: JSON.parse('{"text":"a","__proto__":{"x":1},"constructor":1}') as object },
  },
  'an enum value that is none': {
    query: 'mutation ($i: NoteInput!) { note(input: $i) }',
    variables: { i: { text: '', tone: 'LOWD' } },
  },
  'a parameter that is none': { query: '{ hello }', qeury: '{ who }' },
  'an id that is none': { query: '', documentId: 'sha256:1' },
  'an id that is a number': { query: '', documentId: 1 },
  'an id that is not known': { query: '', documentId: 'a'.repeat(64) },
  'an id of another document': { query: '{ hello }', documentId: 'a'.repeat(64) },
  'the id of Apollo, unknown': { query: '', extensions: { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(64) } } },
  depth: { query: `{ item ${'{ items(first: 1) '.repeat(16)}{ name }${' }'.repeat(16)} }` },
  'depth of a list': { query: `{ echo(text: ${'['.repeat(900)}${']'.repeat(900)}) }` },
  aliases: { query: `{ ${times(16, (at) => `a${at}: hello`)} }` },
  'aliases of __typename': { query: `{ ${times(16, (at) => `a${at}: __typename`)} }` },
  'aliases in fragments': { query: `{ ...F } fragment F on Query { ${times(16, (at) => `a${at}: hello`)} }` },
  'aliases of a mutation': { query: `mutation { ${times(16, (at) => `a${at}: touch`)} }` },
  directives: { query: `{ hello ${'@include(if: true) '.repeat(21)} }` },
  'directives that are none': { query: `{ hello ${times(30, (at) => `@d${at}`)} }` },
  tokens: { query: `{ ${'hello '.repeat(2_001)} }` },
  width: { query: `{ ${'hello '.repeat(151)} }` },
  'cost in a literal': { query: '{ item { items(first: 100000) { name } } }' },
  'cost in a variable': { query: 'query ($n: Int) { item { items(first: $n) { name } } }', variables: { n: 100_000 } },
  'cost in a default': { query: 'query ($n: Int = 100000) { item { items(first: $n) { name } } }' },
  'cost in steps': { query: '{ item { items(first: 100) { items(first: 100) { items(first: 2) { name } } } } }' },
  'cost in a fragment': { query: '{ item { ...F } } fragment F on Item { items(first: 100000) { name } }' },
  'many mistakes': { query: `{ ${times(140, (at) => `f${at}`)} }` },
  introspection: { query: '{ __schema { types { name } } }' },
  'introspection of a type': { query: '{ ... { t: __type(name: "Item") { name } } }' },
  'introspection in a mutation': { query: 'mutation { touch __schema { types { name } } }' },
  'a mutation that is refused inside': { query: '{ refused }' },
}

describe('in production', () => {
  test.each(Object.entries(HOSTILE))('%s (B11, B15)', async (_name, params) => {
    const { url, socketUrl, calls, logged } = await serve({ production: true })
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json', authorization: 'Bearer user' },
      body: JSON.stringify(params),
    })
    const overHttp = (await response.json()) as ExecutionResult
    const raw = await new RawSocket(socketUrl).open()
    raw.send({ id: 'hostile', type: 'subscribe', payload: params })
    const message = await Promise.race([raw.next('error', 'hostile'), raw.next('next', 'hostile')])
    const overSocket: ExecutionResult = message.type === 'error' ? { errors: message.payload } : message.payload

    expect(codeOf(overHttp)).toMatch(/^(BAD_REQUEST|TOO_COMPLEX|FORBIDDEN|NOT_FOUND)$/)
    expect(response.status).toBeGreaterThanOrEqual(400)
    expect(codeOf(overSocket)).toBe(codeOf(overHttp))
    const told = ({ errors }: ExecutionResult) => errors!.map(({ message: text, locations }) => ({ text, locations }))
    expect(told(overSocket)).toEqual(told(overHttp))
    expect(overHttp.errors!.length).toBeLessThanOrEqual(20)
    expect(JSON.stringify([overHttp, overSocket, logged])).not.toMatch(/did you mean|sk-live|node_modules|\.ts:\d/i)
    expect(calls).toHaveLength(0)

    raw.subscribe('good', '{ hello }')
    expect((await raw.next('next', 'good')).payload.data).toEqual({ hello: 'world' })
  })

  test('a document that takes long to check is given up within a second', async () => {
    const { url } = await serve({ production: true })
    const slow = [
      `{ ${`item { ${'name '.repeat(24)} } `.repeat(70)} }`,
      `{ ${times(150, (at) => `...F${at}`)} } ${times(150, (at) => `fragment F${at} on Query { hello item { name } }`)}`,
      `{ ...F0 } ${times(160, (at) => `fragment F${at} on Query { ...F${at + 1} ...F${at + 1} }`)} fragment F160 on Query { hello }`,
      `{ hello } #${'x'.repeat(3_900_000)}`,
      `{ echo(text: "${'x'.repeat(3_900_000)}") `,
    ]
    for (const query of slow) {
      const before = process.cpuUsage()
      await (
        await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query }) })
      ).text()
      const { user, system } = process.cpuUsage(before)
      expect((user + system) / 1_000, query.slice(0, 60)).toBeLessThan(1_000)
    }
  })
})

describe('batches', () => {
  const batch = async (url: string, items: object[], headers: object = {}) => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(items) }
    const response = await fetch(url, init)
    return { status: response.status, answers: (await response.json()) as ExecutionResult[] }
  }
  const page = { query: 'query ($n: Int) { item { items(first: $n) { name } } }' }

  test('ten operations are answered in their order, each for itself', async () => {
    const { url } = await serve()
    const items = Array.from({ length: 10 }, (_, at) =>
      at === 3 ? { query: '{ nothing }' } : { query: 'query ($t: String) { echo(text: $t) }', variables: { t: `${at}` } },
    )
    const { status, answers } = await batch(url, items)
    expect(status).toBe(200)
    expect(answers.map(({ data }) => data?.['echo'])).toEqual(['0', '1', '2', undefined, '4', '5', '6', '7', '8', '9'])
    expect(codeOf(answers[3]!)).toBe('BAD_REQUEST')
  })

  test('their costs are added up: what does not fit any more is TOO_COMPLEX (B3)', async () => {
    const { url, refusals } = await serve()
    const items = Array.from({ length: 10 }, () => ({ ...page, variables: { n: 4_000 } }))
    const { answers } = await batch(url, items)
    expect(answers.filter(({ data }) => data !== undefined)).toHaveLength(2)
    expect(answers.filter((answer) => codeOf(answer) === 'TOO_COMPLEX')).toHaveLength(8)
    expect(refusals).toEqual(Array(8).fill('TOO_COMPLEX'))
  })

  test('one that is too complex alone costs the others nothing', async () => {
    const { url } = await serve()
    const { answers } = await batch(url, [
      { ...page, variables: { n: 100_000 } },
      { ...page, variables: { n: 9_000 } },
    ])
    expect(answers.map(codeOf)).toEqual(['TOO_COMPLEX', undefined])
  })

  test('a batch that is refused as a whole has the status of its refusals', async () => {
    const { url } = await serve()
    const accept = 'application/graphql-response+json'
    expect((await batch(url, [{ query: '{ a }' }, { query: '{ b }' }], { accept })).status).toBe(400)
    expect((await batch(url, [{ query: '{ refused }' }, { query: '{ refused }' }], { accept })).status).toBe(403)
    expect((await batch(url, [{ query: '{ hello }' }, { query: '{ refused }' }], { accept })).status).toBe(200)
  })

  test('a socket takes none: its messages are the batch', async () => {
    const { socketUrl } = await serve()
    const raw = await new RawSocket(socketUrl).open()
    raw.send({ id: 'a', type: 'subscribe', payload: [{ query: '{ hello }' }] })
    expect((await raw.closed).code).toBe(4400)
  })
})
