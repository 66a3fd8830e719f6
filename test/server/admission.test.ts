/** Both doors run the same checks: each case goes through HTTP and through WebSocket. */
import type { ExecutionResult } from 'graphql'
import { describe, expect, test } from 'vitest'
import { codeOf, post, RawSocket, SECRET, serve } from './test-server.ts'

type Ask = (query: string, more?: { variables?: object; operationName?: string }) => Promise<ExecutionResult>

const aliases = (count: number, field: string) => `{ ${Array.from({ length: count }, (_, at) => `a${at}: ${field}`).join(' ')} }`
const doubled = (count: number) =>
  `{ ...F0 } ${Array.from({ length: count }, (_, at) => `fragment F${at} on Query { ...F${at + 1} ...F${at + 1} }`).join(' ')} fragment F${count} on Query { hello }`
const nested = (depth: number) => `{ item ${'{ items(first: 1) '.repeat(depth)}{ name }${' }'.repeat(depth)} }`

describe.each(['HTTP', 'WEBSOCKET'] as const)('over %s', (door) => {
  async function open(changes: Parameters<typeof serve>[0] = {}, token = 'user') {
    const served = await serve(changes)
    if (door === 'HTTP') return { ...served, ask: ((query, more) => post(served.url, query, { token, ...more })) as Ask }
    const socket = await new RawSocket(served.socketUrl).open(`Bearer ${token}`)
    let count = 0
    const ask: Ask = async (query, more) => {
      const id = `op${count++}`
      socket.subscribe(id, query, more)
      const answer = await Promise.race([socket.next('next', id), socket.next('error', id)])
      return answer.type === 'next' ? answer.payload : { errors: answer.payload }
    }
    return { ...served, ask }
  }

  test('a query is answered, with its cost', async () => {
    const { ask } = await open()
    const answer = await ask('{ hello item { items(first: 7) { name } } }')
    expect(answer.data).toEqual({ hello: 'world', item: { items: [] } })
    expect(answer.extensions).toEqual({ cost: { requested: 10, limit: 10_000 } })
  })

  test.each([
    ['too many aliases', aliases(16, 'hello')],
    ['too many aliases of __typename', aliases(16, '__typename')],
    ['too deep a selection', nested(16)],
    [
      'too deep a selection in fragments',
      `{ item { ...F } } fragment F on Item ${'{ items(first: 1) '.repeat(16)}{ name }${' }'.repeat(16)}`,
    ],
    ['too many directives', `{ hello ${'@include(if: true) '.repeat(21)} }`],
    ['too many tokens', `{ ${'hello '.repeat(2_001)} }`],
    ['too wide a selection', `{ ${'hello '.repeat(151)} }`],
    ['too wide a selection in a fragment', `{ ...F } fragment F on Query { ${'hello '.repeat(151)} }`],
    ['fields that are costly to compare', `{ ${`item { ${'name '.repeat(24)} } `.repeat(70)} }`],
    ['fragments that double each other', doubled(100)],
    ['a literal page that costs too much', '{ item { items(first: 100000) { name } } }'],
  ])('%s is refused as TOO_COMPLEX and audited', async (_name, query) => {
    const { ask, refusals } = await open()
    const answer = await ask(query)
    expect(answer.data).toBeUndefined()
    expect(codeOf(answer)).toBe('TOO_COMPLEX')
    expect(refusals).toEqual(['TOO_COMPLEX'])
  })

  test('a page that costs too much is refused when its size comes in a variable, and when only `last` is a literal', async () => {
    const { ask } = await open()
    const answer = await ask('query ($n: Int) { item { items(first: $n) { name } } }', { variables: { n: 100_000 } })
    expect(answer.errors).toHaveLength(1)
    expect(answer.errors![0]!.extensions).toMatchObject({ code: 'TOO_COMPLEX', cost: { requested: 100_002, limit: 10_000 } })
  })

  test('a document that was admitted once is counted anew with other variables', async () => {
    const { ask } = await open()
    const query = 'query ($n: Int) { item { items(first: $n) { name } } }'
    expect((await ask(query, { variables: { n: 1 } })).errors).toBeUndefined()
    expect(codeOf(await ask(query, { variables: { n: 100_000 } }))).toBe('TOO_COMPLEX')
  })

  test('a document with several operations is refused, whichever is named: what was counted is what runs', async () => {
    const { ask, calls } = await open()
    const query = 'mutation Write { touch } query Read { who }'
    expect(codeOf(await ask(query))).toBe('BAD_REQUEST')
    expect(codeOf(await ask(query, { operationName: 'Read' }))).toBe('BAD_REQUEST')
    expect(calls).toHaveLength(0)
  })

  test('`operationName` names the one operation of the document', async () => {
    const { ask, calls } = await open()
    expect((await ask('query Read { who }', { operationName: 'Read' })).data).toEqual({ who: 'user' })
    expect(codeOf(await ask('query Read { who }', { operationName: 'Other' }))).toBe('BAD_REQUEST')
    expect(codeOf(await ask('{ who }', { operationName: 'Other' }))).toBe('BAD_REQUEST')
    expect(calls).toHaveLength(1)
  })

  test.each([
    ['a syntax error', '{ hello', undefined],
    ['an unknown field', '{ nothing }', undefined],
    ['a document without an operation', 'fragment F on Item { name }', undefined],
    ['a variable of a wrong type', 'query ($n: Int) { item { items(first: $n) { name } } }', { n: 'many' }],
    ['an empty document', '', undefined],
  ])('%s is BAD_REQUEST with the id of the request', async (_name, query, variables) => {
    const { ask } = await open()
    const answer = await ask(query, { variables })
    expect(answer.data).toBeUndefined()
    expect(answer.errors![0]!.extensions).toEqual({ code: 'BAD_REQUEST', requestId: expect.stringMatching(/^[\w.-]{8,64}$/) })
  })

  test('at most 20 validation errors are told', async () => {
    const { ask } = await open()
    const answer = await ask(`{ ${Array.from({ length: 150 }, (_, at) => `f${at}`).join(' ')} }`)
    expect(answer.errors).toHaveLength(20)
    expect(answer.errors![19]!.message).toContain('Too many')
  })

  test('what is quoted of a document is short', async () => {
    const { ask } = await open()
    const answer = await ask(`{ item { items(first: "${'x'.repeat(50_000)}") { name } } }`)
    expect(codeOf(answer)).toBe('BAD_REQUEST')
    expect(answer.errors![0]!.message).toHaveLength(504)
  })

  test('at most 20 errors of variables are told', async () => {
    const { ask } = await open()
    const answer = await ask('query ($list: [Int!]) { sum(of: $list) }', { variables: { list: Array(150).fill('x') } })
    expect(answer.errors).toHaveLength(20)
    expect(answer.data).toBeUndefined()
  })

  test('an error of a variable says where and why, and never what was sent', async () => {
    const { ask } = await open()
    const query = 'mutation ($input: NoteInput!) { note(input: $input) }'
    const told = async (input: unknown) => (await ask(query, { variables: { input } })).errors!.map(({ message }) => message)
    expect(await told({ text: 'a', secret: SECRET })).toEqual([
      'Variable "$input" is not valid at "input": Field "secret" is not defined by type "NoteInput".',
    ])
    expect(await told({ text: [SECRET] })).toEqual([
      'Variable "$input" is not valid at "input.text": String cannot represent a non string value.',
    ])
    expect(await told({ text: 'a', tags: ['b', { c: SECRET }] })).toEqual([
      'Variable "$input" is not valid at "input.tags[1]": String cannot represent a non string value.',
    ])
    expect(await told(null)).toEqual(['Variable "$input" of non-null type "NoteInput!" must not be null.'])
  })

  test('what breaks inside is masked as INTERNAL and logged with its cause', async () => {
    const { ask, logged } = await open()
    const answer = await ask('{ broken hello }')
    expect(answer.data).toEqual({ broken: null, hello: 'world' })
    expect(answer.errors).toEqual([
      expect.objectContaining({
        message: 'Something went wrong on our side.',
        path: ['broken'],
        extensions: { code: 'INTERNAL', requestId: expect.any(String) },
      }),
    ])
    expect(JSON.stringify(answer)).not.toContain(SECRET)
    const line = logged.find((text) => text.includes('a request failed'))!
    expect(JSON.parse(line)).toMatchObject({
      requestId: answer.errors![0]!.extensions['requestId'],
      err: { message: expect.stringContaining('password authentication') },
    })
  })

  test('a value that does not fit its type is masked too', async () => {
    const { ask } = await open()
    const answer = await ask('{ notAnInt }')
    expect(codeOf(answer)).toBe('INTERNAL')
    expect(JSON.stringify(answer)).not.toContain(SECRET)
  })

  test('a fault of a resolver shows its code', async () => {
    const { ask } = await open()
    expect(codeOf(await ask('{ refused }'))).toBe('FORBIDDEN')
  })

  test('in production only administrators introspect, and typing errors get no hints', async () => {
    const asUser = await open({ production: true })
    expect(codeOf(await asUser.ask('{ __schema { queryType { name } } }'))).toBe('FORBIDDEN')
    expect(codeOf(await asUser.ask('{ hello ...F } fragment F on Query { t: __type(name: "Item") { name } }'))).toBe('FORBIDDEN')
    expect((await asUser.ask('{ __typename }')).data).toEqual({ __typename: 'Query' })
    for (const [query, variables] of [
      ['{ helo }'],
      ['{ item }'],
      ['{ echo(txet: "a") }'],
      ['{ __typename ...F } fragment F on Itme { name }'],
      ['mutation { note(input: { txet: "a" }) }'],
      ['mutation ($input: NoteInput!) { note(input: $input) }', { input: { text: 'a', tgas: [] } }],
      ['mutation ($input: NoteInput!) { note(input: $input) }', { input: { text: 'a', tone: 'LOWD' } }],
    ] as const) {
      const { errors } = await asUser.ask(query, { variables })
      expect(codeOf({ errors }), query).toBe('BAD_REQUEST')
      expect(JSON.stringify(errors), query).not.toMatch(/did you mean/i)
    }
    const asKey = await open({ production: true }, 'key')
    expect(codeOf(await asKey.ask('{ __schema { queryType { name } } }'))).toBe('FORBIDDEN')
    const asAdmin = await open({ production: true }, 'admin')
    expect((await asAdmin.ask('{ __schema { queryType { name } } }')).data).toEqual({
      __schema: { queryType: { name: 'Query' } },
    })
  })

  test('in development anybody introspects, and typing errors get hints', async () => {
    const { ask } = await open()
    expect((await ask('{ __type(name: "Item") { name } }')).data).toEqual({ __type: { name: 'Item' } })
    expect((await ask('{ helo }')).errors![0]!.message).toContain('hello')
    const variables = { input: { text: 'a', tgas: [] } }
    const answer = await ask('mutation ($input: NoteInput!) { note(input: $input) }', { variables })
    expect(answer.errors!.at(-1)!.message).toContain('Did you mean "tags"?')
  })

  test('past the limit of requests a principal is told when to come back, and it is audited (B3)', async () => {
    const { ask, refusals } = await open({ requestsPerMinute: 2 })
    await ask('{ hello }')
    await ask('{ malformed')
    const answer = await ask('{ hello }')
    expect(answer.data).toBeUndefined()
    expect(answer.errors![0]!.extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) })
    expect(refusals).toEqual(['RATE_LIMITED'])
  })

  test('an answer over 10 MB is RESPONSE_TOO_LARGE', async () => {
    const { ask } = await open()
    expect(codeOf(await ask('{ long }'))).toBe('RESPONSE_TOO_LARGE')
  })
})
