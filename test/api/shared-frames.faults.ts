/** Frames that are rendered once for many: nobody gets in one what they would not get alone. */
import { execute, getNamedType, isAbstractType, isCompositeType, parse } from 'graphql'
import type { GraphQLField, GraphQLObjectType } from 'graphql'
import { beforeAll, expect, test } from 'vitest'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { schema } from '../../src/api/schema.ts'
import type { Principal, UserPrincipal } from '../../src/identity/principal.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { encodeFeedCursor } from '../../src/live/cursor.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { grantFlowAccess } from '../../src/operations/flows/grant-flow-access.ts'
import { startExecution } from '../../src/operations/executions/start-execution.ts'

import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'
import { subscriber } from '../harness/subscribed.ts'

const api = await testApi()
const { written, call, person } = api
const open = subscriber(api)

let owner: Principal
let friends: Principal[]
let admins: UserPrincipal[]
let id: string
beforeAll(async () => {
  owner = await person()
  const people = [await person(), await person()]
  friends = people
  admins = [await person('ADMIN'), await person('ADMIN')]
  const { id: flowId } = unwrap(await createFlow(call(owner), { definition: featureApproval, visibility: 'PRIVATE' }))
  const grants = people.map(({ handle }) => ({ to: { user: handle }, action: 'MANAGE' as const }))
  unwrap(await grantFlowAccess(call(owner), { flowId, grants }))
  const input = { feature_name: 'moon base', estimated_cost: 2_000_000 }
  const { executionId } = unwrap(await startExecution(call(owner), { flow: 'feature_approval', input, waitMs: 0 }))
  id = encodeId('execution', executionId)
  // one of the two may answer it
  const buy = { name: 'buy', steps: { ask: { type: 'approval', subject: 'Buy it', data: {}, users: [admins[0]!.handle] } } }
  const bought = unwrap(await createFlow(call(owner), { definition: buy, visibility: 'PUBLIC' }))
  unwrap(await startExecution(call(owner), { flow: encodeId('flow', bought.id), input: {}, waitMs: 0 }))
})

const subscribe = (principal: Principal, query: string, after?: string) => open(principal, query, { id, after })

/** Every way to a leaf below the execution of a frame, one object deep; arguments that must be given are left alone. */
function selections(type: GraphQLObjectType, depth: number): string[] {
  return Object.values(type.getFields()).flatMap((field) => selectionsOf(field, depth))
}
function selectionsOf({ name, type, args }: GraphQLField<unknown, unknown>, depth: number): string[] {
  if (args.some((arg) => arg.type.toString().endsWith('!') && arg.defaultValue === undefined)) return []
  const named = getNamedType(type)
  if (!isCompositeType(named)) return [name]
  if (depth === 0 || isAbstractType(named)) return [`${name} { __typename }`]
  return selections(named as GraphQLObjectType, depth - 1).map((inner) => `${name} { ${inner} }`)
}

/** What is followed by several at once, each of its fields, and the same asked by one alone. */
interface Shared {
  type: string
  feed: (selection: string) => string
  alone: (selection: string) => string
  who: () => readonly [Principal, Principal]
}

const SHARED: readonly Shared[] = [
  {
    type: 'Execution',
    feed: (selection) => `subscription ($id: ID!, $after: String) {
      feed: executionFeed(id: $id, after: $after) { ... on FeedSnapshot { it: execution { ${selection} } } } }`,
    alone: (selection) => `query ($id: ID!) { it: execution(id: $id) { ${selection} } }`,
    who: () => [friends[0]!, owner],
  },
  {
    // only administrators share this one: to others it is a feed of their own
    type: 'AgentRequest',
    feed: (selection) => `subscription ($after: String) {
      feed: agentRequestsFeed(after: $after) { ... on AgentRequestsSnapshot { it: requests { ${selection} } } } }`,
    alone: (selection) =>
      `query { list: agentRequests(filter: { status: OPEN }, orderBy: OLDEST_FIRST) { edges { node { ${selection} } } } }`,
    who: () => [admins[0]!, admins[1]!],
  },
]

test.each(SHARED)(
  'whatever is selected of $type, what is shared is what each would get alone (B4)',
  async ({ type, feed, alone, who }) => {
    for (const selection of selections(schema.getType(type) as GraphQLObjectType, 1)) {
      // both follow at once: what the first one gets must not become the second one's
      const people = who()
      const feeds = await Promise.all(people.map((principal) => subscribe(principal, feed(selection))))
      const frames = await Promise.all(feeds.map(async (one) => JSON.parse((await one.next()).value!)))
      for (const [at, principal] of people.entries()) {
        const document = parse(alone(selection))
        const answer = await execute({ schema, document, variableValues: { id }, contextValue: call(principal) })
        expect(shown(frames[at]), selection).toEqual(shown(answer))
      }
      for (const one of feeds) await one.return()
    }
  },
  60_000,
)

// what is compared is whatever was asked for
// oxlint-disable-next-line no-explicit-any
function shown({ data, errors }: any): unknown {
  const { it, list } = { ...data, ...data?.feed }
  const found = it ?? list?.edges.map(({ node }: { node: unknown }) => node) ?? null
  return JSON.parse(JSON.stringify({ found, errors: errors?.map(({ message }: Error) => message) }))
}

test('those who would get the same are one group, whoever they are; a field that depends on the viewer makes one for each', async () => {
  const state =
    'subscription ($id: ID!) { executionFeed(id: $id) { ... on FeedSnapshot { execution { status steps { path } } } } }'
  const mine = 'subscription ($id: ID!) { executionFeed(id: $id) { ... on FeedSnapshot { execution { flow { allowed } } } } }'
  for (const [query, groups] of [
    [state, 1],
    [mine, 3],
  ] as const) {
    const people = [owner, ...friends]
    const feeds = await Promise.all(people.map((principal) => subscribe(principal, query)))
    await Promise.all(feeds.map((feed) => feed.next()))
    expect(written.groups).toBe(groups)
    for (const feed of feeds) await feed.return()
    expect(written.groups).toBe(0)
  }
})

test('where one resumes does not keep it out of the group', async () => {
  const query =
    'subscription ($id: ID!, $after: String) { executionFeed(id: $id, after: $after) { ... on FeedDelta { events { seq } } ... on FeedFrame { cursor } } }'
  const cursor = encodeFeedCursor(decodeId('execution', id)!, { seq: 1, epoch: undefined })
  const feeds = [await subscribe(owner, query), await subscribe(owner, query, cursor)]
  await Promise.all(feeds.map((feed) => feed.next()))
  expect(written.groups).toBe(1)
  for (const feed of feeds) await feed.return()
})
