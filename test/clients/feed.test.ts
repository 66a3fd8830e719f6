/** The client package against a whole server, over WebSocket and server-sent events: what it shows is what happened, whatever is cut. */
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import {
  agentRequestsFeed,
  auditFeed,
  createFeed,
  executionFeed,
  executionsFeed,
  holesOf,
  SessionOver,
} from '../../clients/feed/feed.ts'
import type { AgentRequestsView, ExecutionsView, FeedOptions, Transport } from '../../clients/feed/feed.ts'
import { openSession } from '../../clients/feed/session.ts'
import { overSse } from '../../clients/feed/sse.ts'
import { overWebSocket } from '../../clients/feed/websocket.ts'
import { decodeId } from '../../src/ids.ts'
import { createTokens } from '../../src/identity/tokens.ts'
import { encodeFeedCursor } from '../../src/live/cursor.ts'
import { startCutProxy } from '../harness/cut-proxy.ts'
import { approve, follow, historyOf, JWT_SECRET, runningServer } from './running-server.ts'
import type { Follower } from './running-server.ts'
import { tinyContainer } from './tiny-dom.ts'

const { url, session, start, ownerQuery } = await runningServer()
const WAYS = [
  { way: 'WebSocket', over: overWebSocket },
  { way: 'server-sent events', over: overSse },
]
const FAST = { firstMs: 5, longestMs: 50 }
const EXPENSIVE = { feature_name: 'Live dashboards', estimated_cost: 2_000_000 }

/** One short wait after the other: forty events, each few of them a commit of their own. */
const WAITS = {
  version: 1,
  name: 'many_waits',
  steps: Object.fromEntries(
    Array.from({ length: 12 }, (_, at) => [
      `wait_${at}`,
      { type: 'wait', duration: 'PT0.02S', ...(at > 0 && { after: [`wait_${at - 1}`] }) },
    ]),
  ),
}
beforeAll(async () => {
  const { createFlow } = await session.run<{ createFlow: { flow?: object; issues?: object[] } }>(
    `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
      ... on CreateFlowSuccess { flow { id } } ... on ValidationProblem { issues { path message } } } }`,
    { definition: WAITS },
  )
  if (!createFlow.flow) throw new Error(JSON.stringify(createFlow))
})

function followed<View>(options: FeedOptions<View>): Follower<View> {
  const follower = follow(createFeed({ retry: FAST, ...options }))
  onTestFinished(follower.stop)
  return follower
}
const of = (transport: Transport, id: string) => followed({ transport, kind: executionFeed, variables: { id } })

/** How often it was subscribed to. */
function counting(transport: Transport): { times: () => number; transport: Transport } {
  let count = 0
  return {
    times: () => count,
    transport: { ...transport, subscribe: (...asked) => ((count += 1), transport.subscribe(...asked)) },
  }
}

test.each(WAYS)('over $way an execution is followed to its end, with its whole history', async ({ over }) => {
  const id = await start('feature_approval', EXPENSIVE)
  const follower = of(over({ url, token: session.token }), id)
  const { view } = await follower.until((state) => state.view.execution?.status === 'WAITING')
  expect(view.steps.find(({ path }) => path === 'ask_ceo')).toMatchObject({ status: 'WAITING', type: 'agent' })
  await approve(session, id)
  const end = await follower.until(({ status }) => status === 'ended')
  expect(end.ending).toEqual({ reason: 'FINISHED', errors: [] })
  expect(end.view.execution).toMatchObject({
    status: 'SUCCEEDED',
    flow: { name: 'feature_approval' },
    output: { approved: true },
  })
  expect(end.view.events).toEqual(await historyOf(session, id))
  expect(end.view.steps.map(({ status }) => status)).not.toContain('WAITING')
  expect(follower.statuses).toEqual(['resuming', 'live', 'ended'])
})

test.each(WAYS)(
  'connections over $way that are cut again and again lose no event and double none',
  async ({ over }) => {
    const proxy = await startCutProxy(url)
    const id = await start('many_waits', {})
    const transport = over({ url: `${proxy.url}/graphql`, token: session.token })
    const followers = [of(transport, id), of(over({ url: `${proxy.url}/graphql`, token: session.token }), id)]
    let cuts = 0
    for (const { feed } of followers) {
      // the moments are those at which something comes: anything may be on its way
      onTestFinished(
        feed.subscribe(({ status }) => {
          if (status === 'live' && (cuts === 0 || Math.random() < 0.2) && (cuts += 1)) proxy.cut()
        }),
      )
    }
    for (const follower of followers) {
      const { view, gaps } = await follower.until(({ status }) => status === 'ended')
      expect(view.events).toEqual(await historyOf(session, id))
      expect(gaps).toEqual([])
    }
    expect(cuts).toBeGreaterThan(0)
  },
  30_000,
)

test.each(WAYS)('over $way an expired token is renewed, and one that cannot be renewed ends the feed', async ({ over }) => {
  const id = await start('feature_approval', EXPENSIVE)
  const good = await session.token(false)
  const { sub, sid } = JSON.parse(Buffer.from(good.split('.')[1]!, 'base64url').toString()) as { sub: string; sid: string }
  const yesterday = createTokens({ signing: JWT_SECRET }, { now: () => Date.now() - 86_400_000 })
  const { accessToken: old } = await yesterday.issue(decodeId('user', sub)!, decodeId('session', sid)!)
  const asked: boolean[] = []
  const renewed = of(over({ url, token: (expired) => (asked.push(expired), expired ? good : old) }), id)
  await renewed.until(({ status }) => status === 'live')
  expect(asked).toEqual([false, true])

  const lost = of(
    over({
      url,
      token(expired) {
        if (expired) throw new SessionOver('signed out')
        return old
      },
    }),
    id,
  )
  const { ending } = await lost.until(({ status }) => status === 'ended')
  expect(ending).toEqual({ reason: 'REFUSED', errors: [{ message: 'signed out' }] })
})

test.each(WAYS)('over $way what is refused for good ends the feed, with the reason', async ({ over }) => {
  const wrong = of(over({ url, token: () => 'wrong' }), 'exec_01m81d5mh1er5s8et5q5ks7651')
  expect((await wrong.until(({ status }) => status === 'ended')).ending?.reason).toBe('REFUSED')
  const nothing = of(over({ url, token: session.token }), 'exec_01m81d5mh1er5s8et5q5ks7651')
  const { ending } = await nothing.until(({ status }) => status === 'ended')
  expect(ending).toMatchObject({ reason: 'REFUSED', errors: [{ extensions: { code: 'NOT_FOUND' } }] })
})

test('a silent connection is stale, then given up; whoever resumes is live again without a frame', async () => {
  const id = await start('feature_approval', EXPENSIVE)
  const transport = overWebSocket({ url, token: session.token })
  const follower = followed({ transport, kind: executionFeed, variables: { id }, heartbeatMs: 100 })
  await follower.until(({ status }) => status === 'stale')
  await follower.until(({ status }) => status === 'resuming')
  await follower.until(({ status }) => status === 'live')
  expect(follower.statuses).toEqual(['resuming', 'live', 'stale', 'resuming', 'live'])
  await approve(session, id)
  const { view } = await follower.until(({ status }) => status === 'ended')
  expect(view.events).toEqual(await historyOf(session, id))
})

test('whoever stops listening when it is stale is left in peace', async () => {
  const id = await start('feature_approval', EXPENSIVE)
  const { times, transport } = counting(overWebSocket({ url, token: session.token }))
  const follower = followed({ transport, kind: executionFeed, variables: { id }, heartbeatMs: 50 })
  await follower.until(({ status }) => status === 'stale' && (follower.stop(), true))
  const before = times()
  await new Promise((resolve) => setTimeout(resolve, 150))
  expect([times(), follower.statuses.at(-1)]).toEqual([before, 'stale'])
})

test('a feed rests when nobody listens, goes on where it was, and takes a cursor of a query to begin at', async () => {
  const id = await start('feature_approval', EXPENSIVE)
  const { execution } = await session.run<{ execution: { feedCursor: string; lastSeq: number } }>(
    'query ($id: ID!) { execution(id: $id) { feedCursor lastSeq } }',
    { id },
  )
  const transport = overWebSocket({ url, token: session.token })
  const variables = { id, after: execution.feedCursor }
  const feed = createFeed({ transport, kind: executionFeed, variables, retry: FAST })
  const first = follow(feed)
  await first.until(({ status }) => status === 'live')
  first.stop()
  expect(feed.state).toMatchObject({ status: 'resuming', view: { events: [] } })
  await approve(session, id)
  const second = follow(feed)
  const { view } = await second.until(({ status }) => status === 'ended')
  second.stop()
  const history = await historyOf(session, id)
  expect(view.events).toEqual(history.slice(-view.events.length))
  expect(holesOf(view.events)).toEqual([{ after: 0, before: view.events[0]!.seq }])
  feed.offer({ events: history })
  expect(feed.state.view.events).toEqual(history)
})

test('events that retention took are a gap, told as such', async () => {
  const id = await start('feature_approval', EXPENSIVE)
  const uuid = decodeId('execution', id)!
  const transport = overWebSocket({ url, token: session.token })
  await followed({ transport, kind: executionFeed, variables: { id } }).until(({ view }) => view.execution?.status === 'WAITING')
  await ownerQuery('delete from sluice.events where execution_id = $1 and seq <= 4', [uuid])
  const after = encodeFeedCursor(uuid, { seq: 1, epoch: undefined })
  const follower = followed({ transport, kind: executionFeed, variables: { id, after } })
  const { gaps, view } = await follower.until(({ view }) => view.events.length > 0)
  expect(gaps).toEqual([{ reason: 'RETENTION', after }])
  expect(holesOf(view.events)).toEqual([{ after: 0, before: 5 }])
})

test('the audit log is followed by whoever may', async () => {
  const follower = followed({ transport: overSse({ url, token: session.token }), kind: auditFeed })
  await follower.until(({ status }) => status === 'live')
  const id = await start('feature_approval', { feature_name: 'Small', estimated_cost: 1 })
  const { view } = await follower.until(({ view }) => view.events.some(({ executionId }) => executionId === id))
  expect(new Set(view.events.map((event) => event.id)).size).toBe(view.events.length)
})

test('what is asked is in the inbox until it is answered, and an execution on the wall as it goes', async () => {
  const transport = overWebSocket({ url, token: session.token })
  const inbox = followed({ transport, kind: agentRequestsFeed, variables: { role: 'ceo' } })
  const wall = followed({ transport, kind: executionsFeed })
  await Promise.all([inbox, wall].map(({ until }) => until(({ status }) => status === 'live')))
  const id = await start('feature_approval', EXPENSIVE)
  const asked = (view: AgentRequestsView) => view.requests.find(({ execution }) => execution?.id === id)
  await inbox.until(({ view }) => asked(view) !== undefined)
  const statusOf = (view: ExecutionsView): string | undefined => view.executions.find((row) => row.id === id)?.status
  await wall.until(({ view }) => statusOf(view) === 'WAITING')
  await approve(session, id)
  await inbox.until(({ view }) => asked(view) === undefined)
  await wall.until(({ view }) => statusOf(view) === 'SUCCEEDED')
})

test('a listener that fails is told so, and harms neither the connection nor the others', async () => {
  const id = await start('feature_approval', EXPENSIVE)
  const failed = Promise.withResolvers<Error>()
  const handlers = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException').once('uncaughtException', failed.resolve)
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException')
    for (const handler of handlers) process.on('uncaughtException', handler)
  })
  const feed = createFeed({ transport: overWebSocket({ url, token: session.token }), kind: executionFeed, variables: { id } })
  let mistakes = 0
  onTestFinished(
    feed.subscribe(() => {
      if ((mistakes += 1) === 1) throw new Error('of the page')
    }),
  )
  const { until, statuses, stop } = follow(feed)
  onTestFinished(stop)
  expect((await failed.promise).message).toBe('of the page')
  await approve(session, id)
  await until(({ status }) => status === 'ended')
  expect(statuses).toEqual(['resuming', 'live', 'ended'])
})

test('one session serves many: a refresh token is used once, and what it brought is handed on', async () => {
  const signedIn = await session.run<{ signIn: Parameters<typeof openSession>[1] }>(
    `mutation ($input: SignInInput!) { signIn(input: $input) {
      ... on SignInSuccess { accessToken accessTokenExpiresAt refreshToken } } }`,
    { input: { email: 'admin@sluice.local', password: 'Of-the-clients-1' } },
  )
  const renewed: string[] = []
  const own = openSession({ url }, signedIn.signIn, ({ accessToken }) => renewed.push(accessToken))
  const tokens = await Promise.all([own.token(true), own.token(true), own.token(true)])
  expect(new Set(tokens)).toEqual(new Set(renewed))
  expect(renewed).toHaveLength(1)
  const stolen = openSession({ url }, signedIn.signIn)
  await expect(stolen.token(true)).rejects.toThrow(SessionOver)
})

/** it comes without types, and needs none here */
const REACT_DOM: string = 'react-dom/client'
interface Root {
  render(element: object): void
  unmount(): void
}

test('in React a component shows a feed as it goes, also in strict mode, and leaves it when it is gone', async () => {
  const id = await start('feature_approval', EXPENSIVE)
  const { container, remove } = tinyContainer()
  onTestFinished(remove)
  const { createElement, StrictMode } = await import('react')
  const { createRoot } = (await import(REACT_DOM)) as { createRoot(container: object): Root }
  const { useExecutionFeed } = await import('../../clients/feed/react.ts')
  let followed = 0
  const counted = (transport: Transport): Transport => ({
    ...transport,
    subscribe(operation, sink) {
      followed += 1
      const leave = transport.subscribe(operation, sink)
      return () => {
        followed -= 1
        leave()
      }
    },
  })
  const transport = counted(overWebSocket({ url, token: session.token }))
  const seen: string[] = []
  function Standing() {
    const { status, view } = useExecutionFeed(id, { transport })
    const text = `${view.execution?.status} ${status}`
    if (seen.at(-1) !== text) seen.push(text)
    return createElement('p', null, text)
  }
  const root = createRoot(container)
  root.render(createElement(StrictMode, null, createElement(Standing)))
  await vi.waitUntil(() => container.textContent === 'WAITING live')
  expect(followed).toBe(1)
  await approve(session, id)
  await vi.waitUntil(() => container.textContent === 'SUCCEEDED ended')
  expect([seen[0], followed]).toEqual(['undefined resuming', 0])
  root.unmount()

  const other = createRoot(container)
  const unfinished = await start('feature_approval', EXPENSIVE)
  other.render(createElement(() => createElement('p', null, useExecutionFeed(unfinished, { transport }).view.execution?.status)))
  await vi.waitUntil(() => container.textContent === 'WAITING')
  other.unmount()
  await vi.waitUntil(() => followed === 0)
})
