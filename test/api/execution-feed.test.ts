/** `executionFeed` as a client has it: every field of every frame, on an execution that the engine runs. */
import { createSourceEventStream } from 'graphql'
import type { ExecutionResult } from 'graphql'
import { beforeAll, expect, test } from 'vitest'
import { schema } from '../../src/api/schema.ts'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { decodeId, encodeId, newUuid } from '../../src/ids.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { encodeFeedCursor } from '../../src/live/cursor.ts'
import { answerAgentRequest } from '../../src/operations/agent-requests/answer-agent-request.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { listAgentRequests } from '../../src/operations/agent-requests/list-agent-requests.ts'
import { startExecution } from '../../src/operations/executions/start-execution.ts'
import { FeedSource } from '../../src/api/feed.ts'
import { createFollower } from '../../src/server/follow.ts'
import { createPreparer } from '../../src/server/prepare.ts'
import type { Plan } from '../../src/server/prepare.ts'
import { createLog } from '../../src/log.ts'
import { testApi } from '../harness/api.ts'
import { Pulled } from '../harness/pulled-feeds.ts'
import { unwrap } from '../harness/engine.ts'

const { feeds, calls, call, person, run } = await testApi()
const follow = createFollower(schema, calls.makeFrameCall, createLog('silent'))

const FEED = /* GraphQL */ `
  subscription ($id: ID!, $after: String) {
    executionFeed(id: $id, after: $after) {
      __typename
      ... on FeedFrame {
        cursor
      }
      ... on FeedSnapshot {
        execution {
          ...All
        }
      }
      ... on FeedDelta {
        events {
          seq
          type
          at
          step
          path
          attempt
          data
        }
        steps {
          path
          status
          attempt
        }
        execution {
          ...All
        }
      }
      ... on FeedHeartbeat {
        serverTime
      }
      ... on FeedGap {
        reason
      }
      ... on FeedEnd {
        reason
        execution {
          ...All
        }
      }
      ... on FeedClosed {
        reason
      }
    }
  }
  fragment All on Execution {
    id
    status
    lastSeq
    version
    feedCursor
    currentSteps
    completedSteps
    output
  }
`

interface Frame {
  __typename: string
  cursor: string
  events?: { seq: number; type: string; path: string | null }[]
  steps?: { path: string; status: string }[]
  execution?: { id: string; status: string; lastSeq: number; feedCursor: string; completedSteps: string[] }
}

let owner: Principal
beforeAll(async () => {
  owner = await person()
  unwrap(await createFlow(call(owner), { definition: featureApproval, visibility: 'PUBLIC' }))
})

/** As the server does it: one call to subscribe, frames rendered for all who would get the same. */
async function subscribe(principal: Principal | undefined, variableValues: { id: string; after?: string }) {
  const plan = prepare(FEED) as Plan
  const contextValue = call(principal)
  const source = await createSourceEventStream({ schema, document: plan.document, variableValues, contextValue })
  if (!(source instanceof FeedSource)) return { refused: codesOf(source as ExecutionResult) }
  const answer = follow({ source, plan, variables: variableValues, visitor: contextValue })
  return { frames: new Pulled<string>((sink) => answer.follow(sink)) }
}

const prepare = createPreparer(schema, false)

const codesOf = ({ errors }: ExecutionResult) => errors?.map((error) => error.extensions['code'] ?? error.originalError)

async function* framesOf(principal: Principal, variables: { id: string; after?: string }): AsyncGenerator<Frame, undefined> {
  const { frames } = await subscribe(principal, variables)
  for await (const text of frames!) {
    const { data, errors } = JSON.parse(text) as ExecutionResult
    expect(errors).toBeUndefined()
    yield (data as unknown as { executionFeed: Frame }).executionFeed
  }
}

async function allFrames(...args: Parameters<typeof framesOf>): Promise<Frame[]> {
  const frames: Frame[] = []
  for await (const frame of framesOf(...args)) frames.push(frame)
  return frames
}

async function start(principal: Principal, cost: number, waitMs: number): Promise<string> {
  const input = { feature_name: 'moon base', estimated_cost: cost }
  const { executionId } = unwrap(await startExecution(call(principal), { flow: 'feature_approval', input, waitMs }))
  return encodeId('execution', executionId)
}

test('a subscriber sees every step of feature_approval as it happens, the answer of the ceo too (A15)', async () => {
  const me = await person()
  const id = await start(me, 2_000_000, 0)
  const frames: Frame[] = []
  for await (const frame of framesOf(me, {
    id,
    after: encodeFeedCursor(decodeId('execution', id)!, { seq: 0, epoch: undefined }),
  })) {
    frames.push(frame)
    if (!frame.events?.some(({ type }) => type === 'agent.asked')) continue
    const page = { limit: 1, descending: true }
    const [request] = await listAgentRequests(call(owner), { executionId: decodeId('execution', id)!, status: ['OPEN'] }, page)
    unwrap(await answerAgentRequest(call(owner), { id: request!.id, decision: 'APPROVE' }))
  }
  const end = frames.at(-1)
  expect(end).toMatchObject({
    __typename: 'FeedEnd',
    reason: 'FINISHED',
    execution: { id, status: 'SUCCEEDED', output: { approved: true } },
  })
  expect(end?.cursor).toBe(end?.execution?.feedCursor)

  const deltas = frames.filter(({ __typename }) => __typename === 'FeedDelta')
  const events = deltas.flatMap((delta) => delta.events!)
  const { data } = await run(me, 'query ($id: ID!) { execution(id: $id) { events(first: 500) { seq type path } } }', { id })
  expect(events.map(({ seq, type, path }) => ({ seq, type, path }))).toEqual(data.execution.events)
  for (const { events: some, steps, execution } of deltas) {
    const told = new Set(some!.flatMap(({ path }) => path ?? []))
    expect(new Set(steps!.map(({ path }) => path))).toEqual(told)
    expect(execution!.lastSeq).toBeGreaterThanOrEqual(some!.at(-1)!.seq)
  }
  expect(end?.execution?.completedSteps).toContain('ask_ceo')
})

test('an execution that has ended is a snapshot and the end; its feedCursor leads to the end alone', async () => {
  const me = await person()
  const id = await start(me, 10, 5_000)
  const all = await allFrames(me, { id })
  expect(all.map(({ __typename }) => __typename)).toEqual(['FeedSnapshot', 'FeedEnd'])
  const [only, ...more] = await allFrames(me, { id, after: all[0]!.execution!.feedCursor })
  expect(only).toEqual(all[1])
  expect(more).toEqual([])
})

test('whoever may not see an execution is told what they would be told if it did not exist (B4, C1)', async () => {
  const id = await start(owner, 10, 0)
  const stranger = await person()
  for (const unseen of [id, encodeId('execution', newUuid()), 'exec_nonsense', '']) {
    expect((await subscribe(stranger, { id: unseen })).refused).toMatchObject(['NOT_FOUND'])
  }
  expect((await subscribe(undefined, { id })).refused).toMatchObject(['UNAUTHENTICATED'])
  expect((await subscribe(owner, { id, after: 'nonsense' })).refused).toMatchObject(['BAD_CURSOR'])
  expect(feeds.size).toBe(0)
})

test('a subscriber that leaves while nothing happens is gone at once', async () => {
  const me = await person()
  const id = await start(me, 2_000_000, 0)
  const { frames } = await subscribe(me, { id })
  await frames!.next()
  const waiting = frames!.next()
  await frames!.return()
  expect((await waiting).done).toBe(true)
  expect(feeds.size).toBe(0)
})
