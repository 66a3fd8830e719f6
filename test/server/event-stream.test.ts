/** Feeds as server-sent events: the same frames and checks as over WebSocket; `Last-Event-ID` is the cursor. */
import { expect, test } from 'vitest'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { schema } from '../../src/api/schema.ts'
import type { Authentication, Principal } from '../../src/identity/principal.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { decodeFeedCursor, encodeFeedCursor } from '../../src/live/cursor.ts'
import { answerAgentRequest } from '../../src/operations/agent-requests/answer-agent-request.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { listAgentRequests } from '../../src/operations/agent-requests/list-agent-requests.ts'
import { startExecution } from '../../src/operations/executions/start-execution.ts'
import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'
import { serve } from './test-server.ts'

const { call, calls, person, written, services } = await testApi()
const tokens = new Map<string, Principal>()
let url: string
/** For the test that runs. */
async function openDoor(): Promise<void> {
  const authenticate = async (token: string): Promise<Authentication> => {
    const principal = tokens.get(token)
    return principal ? { ok: true, principal } : { ok: false, reason: 'INVALID' }
  }
  url = (await serve({ schema, calls, authenticate })).url
}
const owner = await person()
tokens.set('owner', owner)
tokens.set('stranger', await person())
unwrap(await createFlow(call(owner), { definition: featureApproval, visibility: 'PUBLIC' }))

const FEED = `subscription ($id: ID!, $after: String) { executionFeed(id: $id, after: $after) {
  __typename ... on FeedFrame { cursor } ... on FeedDelta { events { seq type } } ... on FeedEnd { reason } } }`

interface Event {
  id?: string
  event?: string
  // what a test reads of a payload is what it asked for
  // oxlint-disable-next-line no-explicit-any
  data?: any
}

interface Asked {
  query?: string
  variables?: object
  token?: string | null
  headers?: Record<string, string>
  signal?: AbortSignal
}

function open({ query = FEED, variables, token = 'owner', headers = {}, signal }: Asked): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: {
      ...{ 'content-type': 'application/json', accept: 'text/event-stream' },
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify({ query, variables }),
    ...(signal && { signal }),
  })
}

async function* eventsOf(response: Response): AsyncGenerator<Event, undefined> {
  let text = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop()!
    for (const block of blocks) {
      const fields = block.split('\n').map((line) => /^(\w+):? ?(.*)$/.exec(line)!.slice(1, 3) as [string, string])
      const event: Event = Object.fromEntries(fields)
      if (event.data) event.data = JSON.parse(event.data)
      yield event
    }
  }
}

async function all(response: Response): Promise<Event[]> {
  const events: Event[] = []
  for await (const event of eventsOf(response)) events.push(event)
  return events
}

async function start(cost: number, waitMs: number): Promise<string> {
  const input = { feature_name: 'moon base', estimated_cost: cost }
  const { executionId } = unwrap(await startExecution(call(owner), { flow: 'feature_approval', input, waitMs }))
  return encodeId('execution', executionId)
}

const cursorAt = (id: string, seq: number): string => encodeFeedCursor(decodeId('execution', id)!, { seq, epoch: undefined })

test('a feed is a stream of `next` with the cursor as id, then `complete`', async () => {
  await openDoor()
  const id = await start(2_000_000, 0)
  const response = await open({ variables: { id } })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  expect(response.headers.get('cache-control')).toBe('no-store, no-transform')
  expect(response.headers.get('x-ratelimit-limit')).toBeTruthy()
  const events: Event[] = []
  for await (const event of eventsOf(response)) {
    events.push(event)
    const of = { executionId: decodeId('execution', id)!, status: ['OPEN' as const] }
    const [request] = await listAgentRequests(call(owner), of, { limit: 1, descending: true })
    if (request) await answerAgentRequest(call(owner), { id: request.id, decision: 'APPROVE' })
  }
  expect(events.at(-1)).toEqual({ event: 'complete', data: '' })
  const frames = events.slice(0, -1).map(({ data }) => data.data.executionFeed)
  expect(frames.map(({ __typename }) => __typename)).toEqual([
    'FeedSnapshot',
    ...frames.slice(2).map(() => 'FeedDelta'),
    'FeedEnd',
  ])
  for (const [at, event] of events.slice(0, -1).entries()) {
    expect(event).toMatchObject({ event: 'next', id: frames[at].cursor })
  }
})

test('Last-Event-ID resumes after that cursor, whatever the variables say; after the end the answer is 204', async () => {
  await openDoor()
  const id = await start(10, 5_000)
  const whole = await all(await open({ variables: { id, after: cursorAt(id, 0) } }))
  const seqs = (events: Event[]) =>
    events.flatMap(({ data }) => (data?.data?.executionFeed.events ?? []).map(({ seq }: { seq: number }) => seq))
  expect(seqs(whole)).toEqual(Array.from({ length: seqs(whole).length }, (_, index) => index + 1))
  const headers = { 'last-event-id': cursorAt(id, 3) }
  expect(seqs(await all(await open({ variables: { id }, headers })))).toEqual(seqs(whole).slice(3))
  expect(seqs(await all(await open({ variables: { id, after: cursorAt(id, 1) }, headers })))).toEqual(seqs(whole).slice(3))
  const last = whole.at(-2)!.id!
  const again = await open({ variables: { id }, headers: { 'last-event-id': last } })
  expect([again.status, await again.text()]).toEqual([204, ''])
  const place = decodeFeedCursor(last, decodeId('execution', id)!)
  const foreign = encodeFeedCursor(decodeId('execution', id)!, { ...place, epoch: '0123456789ab' })
  const kinds = (events: Event[]) => events.slice(0, -1).map(({ data }) => data.data.executionFeed.__typename)
  const restored = await all(await open({ variables: { id }, headers: { 'last-event-id': foreign } }))
  expect(kinds(restored)).toEqual(['FeedGap', 'FeedSnapshot', 'FeedEnd'])
  expect(restored.slice(0, 2).map(({ id: cursor }) => cursor)).toEqual([foreign, last])
  const wrong = await open({ variables: { id }, headers: { 'last-event-id': 'nonsense' } })
  expect(wrong.status).toBe(400)
  expect(await wrong.json()).toMatchObject({ errors: [{ extensions: { code: 'BAD_CURSOR' } }] })
})

test('feeds of many things are streams too: a stream that resumes is open at once, and tells what came since', async () => {
  await openDoor()
  const feeds = [
    [
      'executionsFeed',
      '... on ExecutionsDelta { things: executions { id } } ... on ExecutionsSnapshot { things: executions { id } }',
    ],
    [
      'agentRequestsFeed',
      '... on AgentRequestsDelta { things: requests { id } } ... on AgentRequestsSnapshot { things: requests { id } }',
    ],
  ]
  for (const [feed, frames] of feeds) {
    const query = `subscription ($after: String) { feed: ${feed}(after: $after) { kind: __typename ... on FeedFrame { cursor } ${frames} } }`
    const first = new AbortController()
    const { value: snapshot } = await eventsOf(await open({ query, signal: first.signal })).next()
    expect(snapshot!.data.data.feed).toMatchObject({ kind: expect.stringContaining('Snapshot'), cursor: snapshot!.id })
    first.abort()
    const second = new AbortController()
    const resumed = await open({ query, headers: { 'last-event-id': snapshot!.id! }, signal: second.signal })
    expect(resumed.status).toBe(200)
    await start(2_000_000, 0)
    const { value: delta } = await eventsOf(resumed).next()
    expect(delta!.data.data.feed).toMatchObject({ kind: expect.stringContaining('Delta'), cursor: delta!.id })
    // what earlier tests started may have changed too
    expect(delta!.data.data.feed.things).not.toHaveLength(0)
    second.abort()
  }
})

test('what is not to be seen equals what is not there; nobody comes in without a token (B4, B11, C1)', async () => {
  await openDoor()
  const id = await start(2_000_000, 0)
  const refused = async (asked: Asked) => {
    const response = await open(asked)
    const { errors } = (await response.json()) as { errors: { message: string; extensions: { code: string } }[] }
    return [response.status, errors[0]!.message, errors[0]!.extensions.code]
  }
  const unseen = await refused({ variables: { id }, token: 'stranger' })
  expect(unseen[2]).toBe('NOT_FOUND')
  expect(await refused({ variables: { id: encodeId('execution', owner.id) }, token: 'stranger' })).toEqual(unseen)
  expect((await refused({ variables: { id }, token: null }))[2]).toBe('UNAUTHENTICATED')
  expect((await refused({ variables: { id }, token: 'forged' }))[2]).toBe('UNAUTHENTICATED')
  expect((await refused({ variables: { id }, headers: { origin: 'https://evil.example' } }))[2]).toBe('FORBIDDEN')
  expect((await refused({ query: 'subscription { nothing }' }))[2]).toBe('BAD_REQUEST')
  expect(written.size).toBe(0)
})

test('a session that ends closes its streams within a second (B11)', async () => {
  await openDoor()
  const leaver = await person()
  tokens.set('leaver', leaver)
  const { executionId } = unwrap(
    await startExecution(call(leaver), {
      flow: `${owner.handle}/feature_approval`,
      input: { feature_name: 'x', estimated_cost: 2_000_000 },
      waitMs: 0,
    }),
  )
  const response = await open({ variables: { id: encodeId('execution', executionId) }, token: 'leaver' })
  const events = eventsOf(response)
  await events.next()
  const at = performance.now()
  await services.database.query('update sluice.users set disabled_at = now() where id = $1', [leaver.id])
  await services.database.query("insert into sluice.auth_changes (subject) values ('user:' || $1::text)", [leaver.id])
  const rest: Event[] = []
  for await (const event of events) rest.push(event)
  expect(rest[0]).toMatchObject({ data: { data: { executionFeed: { __typename: 'FeedClosed' } } } })
  expect(rest.at(-1)).toMatchObject({ event: 'complete' })
  expect(performance.now() - at).toBeLessThan(1_500)
})

test('a client that leaves is gone at once; a query is one `next` and `complete`', async () => {
  await openDoor()
  const id = await start(2_000_000, 0)
  const leaving = new AbortController()
  const response = await open({ variables: { id }, signal: leaving.signal })
  await eventsOf(response).next()
  expect(written.size).toBe(1)
  leaving.abort()
  await expect.poll(() => written.size).toBe(0)
  expect(await all(await open({ query: '{ __typename }' }))).toMatchObject([
    { event: 'next', data: { data: { __typename: 'Query' } } },
    { event: 'complete' },
  ])
})
