/** A load of everything that executions do, through the API of a fleet; and what must be true of it when it is over, whatever happened. */
import { isDeepStrictEqual } from 'node:util'
import { createFeed } from '../../clients/feed/feed.ts'
import type { Feed, ExecutionsView } from '../../clients/feed/feed.ts'
import { executionsFeedOf } from '../../clients/feed/executions-feed.ts'
import { overWebSocket } from '../../clients/feed/websocket.ts'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { verifyAudit } from '../../src/audit/verify-audit.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import type { Effects } from './effects.ts'
import type { Fleet } from './fleet.ts'
import { allEnded, breaches } from './invariants.ts'

const told = { effects: '${{ input.effects }}' }
const near = { type: 'handler', handler: 'near', with: told }
const apart = { type: 'handler', handler: 'apart', with: told }
const undo = { type: 'handler', handler: 'near', with: told }

/** By name: how each must end, and what it does. */
const FLOWS: Record<string, { ends: string; steps: object; concurrency?: object }> = {
  chain: {
    ends: 'SUCCEEDED',
    steps: { a: near, b: { ...near, after: ['a'], with: { ...told, ms: 40 } }, c: { ...near, after: ['b'] } },
  },
  apart: { ends: 'SUCCEEDED', steps: { a: apart, b: { ...near, after: ['a'] } } },
  retried: {
    ends: 'SUCCEEDED',
    steps: { a: { ...near, with: { ...told, until: 3 }, retry: { attempts: 4, delay: 'PT0.05S' } } },
  },
  naps: {
    ends: 'SUCCEEDED',
    steps: { a: near, b: { type: 'wait', duration: 'PT0.4S', after: ['a'] }, c: { ...near, after: ['b'] } },
  },
  sleeps: {
    ends: 'SUCCEEDED',
    steps: { a: near, b: { type: 'wait', duration: 'PT3S', after: ['a'] }, c: { ...near, after: ['b'] } },
  },
  asks: {
    ends: 'SUCCEEDED',
    steps: {
      a: { type: 'agent', role: 'ceo', subject: 'Well?', request: {}, timeout: 'PT600S' },
      b: { ...near, after: ['a'] },
    },
  },
  maps: {
    ends: 'SUCCEEDED',
    steps: {
      a: { type: 'map', over: [0, 1, 2, 3, 4, 5], parallel: 3, step: { ...near, with: { ...told, ms: 8 } } },
      b: { ...near, after: ['a'] },
    },
  },
  parents: { ends: 'SUCCEEDED', steps: { a: { type: 'flow', flow: 'naps', input: told }, b: { ...near, after: ['a'] } } },
  families: {
    ends: 'SUCCEEDED',
    steps: { a: { type: 'map', over: [1, 2, 3], parallel: 2, step: { type: 'flow', flow: 'chain', input: told } } },
  },
  saga: {
    ends: 'FAILED',
    steps: {
      a: { ...near, compensate: undo },
      b: { ...near, after: ['a'], compensate: undo },
      stop: { type: 'fail', after: ['b'], message: 'sold out' },
    },
  },
  queued: {
    ends: 'SUCCEEDED',
    concurrency: { max: 4, key: '${{ input.key }}', onLimit: 'queue' },
    steps: { a: { ...near, with: { ...told, ms: 20 } }, b: { ...near, after: ['a'] } },
  },
}
const NAMES = Object.keys(FLOWS)

const withFlows = new WeakSet<Fleet>()

export interface MixedLoad {
  /** by readable id: the name of the flow */
  readonly started: ReadonlyMap<string, string>
  /** Starts so many, some at a time; resolves when all are known to have started. */
  start(count: number): Promise<void>
  /** Resolves when all have ended and everything is as it must be: nothing lost, nothing twice, no gap, no leak. */
  whole(withinMs: number): Promise<void>
}

const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename
  ... on ValidationProblem { issues { path message } } ... on Problem { code message } } }`
const START = `mutation ($input: StartExecutionInput!) { startExecution(input: $input) {
  ... on StartExecutionSuccess { execution { id } } ... on Problem { code message } } }`
const OPEN = '{ agentRequests(filter: { status: [OPEN] }, first: 50) { edges { node { id } } } }'
const ANSWER = `mutation ($input: AnswerAgentRequestInput!) { answerAgentRequest(input: $input) {
  __typename ... on Problem { code message } } }`
const WALL = executionsFeedOf<{ id: string; status: string; version: number }>(
  `subscription ($after: String) { executionsFeed(after: $after) { __typename ... on FeedFrame { cursor } ... on FeedGap { reason }
    ... on FeedEnd { reason } ... on FeedClosed { reason } ... on FeedHeartbeat { serverTime }
    ... on ExecutionsSnapshot { executions { id status version } } ... on ExecutionsDelta { executions { id status version } left } } }`,
  1_000_000,
)

/** For one test: its flows are created, somebody answers what is asked, a screen follows all; until the test is over. */
export async function mixedLoad(fleet: Fleet, effects: Effects): Promise<MixedLoad> {
  const started = new Map<string, string>()
  const began = Date.now()
  if (!withFlows.has(fleet)) {
    for (const [name, { ends: _, ...rest }] of Object.entries(FLOWS)) {
      const { createFlow } = await fleet.insist(CREATE, { definition: { name, ...rest } })
      if (createFlow.__typename !== 'CreateFlowSuccess') throw new Error(JSON.stringify(createFlow))
    }
    withFlows.add(fleet)
  }
  let over = false
  const answering = answer(fleet, () => over)
  const wall = await follow(fleet)
  const leave = wall.subscribe(() => undefined)
  onTestFinished(async () => {
    over = true
    leave()
    await answering
  })
  let numbers = 0

  async function startOne(): Promise<void> {
    const number = numbers++
    const flow = NAMES[number % NAMES.length]!
    const input = { effects: effects.file, key: `k${number % 3}` }
    const order = { flow, input, idempotencyKey: `${began} ${number}` }
    for (;;) {
      const { startExecution } = await fleet.insist(START, { input: order })
      if (startExecution.execution) return void started.set(startExecution.execution.id, flow)
      // the queue of commits is full while the database is away
      if (startExecution.code !== 'LIMIT_REACHED') throw new Error(JSON.stringify(startExecution))
      await pause(200)
    }
  }

  return {
    started,
    async start(count) {
      let left = count
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          while (left-- > 0) await startOne()
        }),
      )
    },
    async whole(withinMs) {
      await allEnded(fleet.database, withinMs)
      over = true
      await expectWhole(fleet, started, began)
      expectRan(effects, started)
      await expectFed(fleet, wall, began)
    },
  }
}

/** Each open question is answered, by two at once. */
async function answer(fleet: Fleet, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    try {
      const { agentRequests } = await fleet.ask(OPEN)
      const ids = agentRequests.edges.map(({ node }: { node: { id: string } }) => node.id) as string[]
      const both = ids.flatMap((id) => [id, id])
      await Promise.all(both.map((id) => fleet.ask(ANSWER, { input: { id, decision: 'ANSWER', data: { n: 1 } } })))
      await pause(ids.length > 0 ? 20 : 200)
    } catch {
      // it is asked again while it is open
      await pause(200)
    }
  }
}

async function follow(fleet: Fleet): Promise<Feed<ExecutionsView<{ id: string; status: string; version: number }>>> {
  const token = await fleet.token()
  const transport = overWebSocket({ url: `${fleet.servers[0]!.url}/graphql`, token: async () => token })
  return createFeed({ transport, kind: WALL, retry: { firstMs: 50, longestMs: 500 } })
}

/** Rules of everything stored, and of what was asked for. */
async function expectWhole(fleet: Fleet, started: ReadonlyMap<string, string>, since: number): Promise<void> {
  const { database, auditKeys, auditHead } = fleet
  expect(await breaches(database, { ofAFleet: true })).toEqual([])
  const roots = await database.query<{ id: string; status: string; name: string }>(
    `select e.id, e.status, f.name from sluice.executions e join sluice.flows f on f.id = e.flow_id 
     where e.parent_id is null and e.created_at >= $1`,
    [new Date(since)],
  )
  const found = new Map(roots.map(({ id, status, name }) => [encodeId('execution', id), { status, name }]))
  const wrong = [...started].filter(([id, name]) => found.get(id)?.name !== name || found.get(id)?.status !== FLOWS[name]!.ends)
  expect(wrong.map(([id, name]) => [id, name, found.get(id)])).toEqual([])
  // nothing was started that nobody was told of
  expect(found.size).toBe(started.size)
  await expect
    .poll(async () => (await verifyAudit({ database, keys: auditKeys, head: auditHead, limit: 1_000_000 })).unsealedForMs, {
      timeout: 10_000,
    })
    .toBe(0)
  expect(await verifyAudit({ database, keys: auditKeys, head: auditHead, limit: 1_000_000 })).toMatchObject({
    intact: true,
    complete: true,
  })
}

/** What is recorded did happen, once at least. */
function expectRan(effects: Effects, started: ReadonlyMap<string, string>): void {
  const ran = new Set(effects.keys())
  const wanted = [...started].flatMap(([id, name]) =>
    Object.entries(FLOWS[name]!.steps as Record<string, { type: string }>).flatMap(([step, { type }]) =>
      type === 'handler' ? [`${id}/${step}`] : [],
    ),
  )
  expect(wanted.filter((key) => !ran.has(key))).toEqual([])
}

/** Histories that are read again by feed, besides the screen that followed all the time. */
const SAMPLES = 12

async function expectFed(fleet: Fleet, wall: Awaited<ReturnType<typeof follow>>, since: number): Promise<void> {
  const stored = await fleet.database.query<{ id: string; status: string; version: number }>(
    'select id, status, version from sluice.executions where created_at >= $1 order by id',
    [new Date(since)],
  )
  const wanted = stored.map(({ id, ...rest }) => ({ id: encodeId('execution', id), ...rest }))
  // the newest of before were there when it began to follow
  const isOurs = ({ id }: { id: string }): boolean => id >= wanted[0]!.id
  const shown = () => wall.state.view.executions.filter(isOurs).map(({ id, status, version }) => ({ id, status, version }))
  const byId = new Map(wanted.map((execution) => [execution.id, execution]))
  // told with its time: the screen has it at once, or after the slow poll
  await expect.poll(() => shown().filter((one) => !isDeepStrictEqual(one, byId.get(one.id))), { timeout: 20_000 }).toEqual([])
  // where more changed at once than a feed passes on, the screen begins anew with the newest hundred
  const ids = new Set(shown().map(({ id }) => id))
  expect(wanted.slice(-100).filter(({ id }) => !ids.has(id))).toEqual([])
  const every = Math.max(1, Math.floor(wanted.length / SAMPLES))
  for (const { id } of wanted.filter((_, at) => at % every === 0)) {
    const { execution } = await fleet.insist('query ($id: ID!) { execution(id: $id) { events(first: 500) { seq type path } } }', {
      id,
    })
    const rows = await fleet.database.query('select seq, type, path from sluice.events where execution_id = $1 order by seq', [
      decodeId('execution', id),
    ])
    expect(execution.events).toEqual(rows)
  }
}
