/** Frames that are rendered once for many: nobody gets in one what they would not get alone. */
import { execute, getNamedType, isAbstractType, isCompositeType, parse } from 'graphql'
import type { ExecutionResult, GraphQLField, GraphQLObjectType } from 'graphql'
import { beforeAll, expect, test } from 'vitest'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { schema } from '../../src/api/schema.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { encodeFeedCursor } from '../../src/live/cursor.ts'
import { createFlow } from '../../src/operations/create-flow.ts'
import { grantFlowAccess } from '../../src/operations/grant-flow-access.ts'
import { startExecution } from '../../src/operations/start-execution.ts'

import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'
import { subscriber } from '../harness/subscribed.ts'

const api = await testApi()
const { written, call, person } = api
const open = subscriber(api)

let owner: Principal
let friends: Principal[]
let id: string
beforeAll(async () => {
  owner = await person()
  const people = [await person(), await person()]
  friends = people
  const { id: flowId } = unwrap(await createFlow(call(owner), { definition: featureApproval, visibility: 'PRIVATE' }))
  const grants = people.map(({ handle }) => ({ to: { user: handle }, action: 'MANAGE' as const }))
  unwrap(await grantFlowAccess(call(owner), { flowId, grants }))
  const input = { feature_name: 'moon base', estimated_cost: 2_000_000 }
  const { executionId } = unwrap(await startExecution(call(owner), { flow: 'feature_approval', input, waitMs: 0 }))
  id = encodeId('execution', executionId)
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

const EXECUTION = schema.getType('Execution') as GraphQLObjectType

test('whatever is selected, what is shared is what each would get alone (B4)', async () => {
  for (const selection of selections(EXECUTION, 1)) {
    const query = `subscription ($id: ID!, $after: String) {
      executionFeed(id: $id, after: $after) { ... on FeedSnapshot { execution { ${selection} } } } }`
    // both follow at once: what the first one gets must not become the second one's
    const feeds = [await subscribe(friends[0]!, query), await subscribe(owner, query)]
    const [first, second] = await Promise.all(feeds.map(async (feed) => JSON.parse((await feed.next()).value!)))
    const alone = async (principal: Principal) => {
      const document = parse(`query ($id: ID!) { execution(id: $id) { ${selection} } }`)
      return shown(await execute({ schema, document, variableValues: { id }, contextValue: call(principal) }))
    }
    expect(shown(first, 'executionFeed'), selection).toEqual(await alone(friends[0]!))
    expect(shown(second, 'executionFeed'), selection).toEqual(await alone(owner))
    for (const feed of feeds) await feed.return()
  }
}, 60_000)

/** What it says of the execution, and what is wrong with it. */
function shown({ data, errors }: ExecutionResult, feed?: string): unknown {
  const root = data as Record<string, { execution?: unknown }> | null | undefined
  const execution = feed ? root?.[feed]?.execution : root?.['execution']
  return JSON.parse(JSON.stringify({ execution: execution ?? null, errors: errors?.map(({ message }) => message) }))
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
  const cursor = encodeFeedCursor(decodeId('execution', id)!, 1)
  const feeds = [await subscribe(owner, query), await subscribe(owner, query, cursor)]
  await Promise.all(feeds.map((feed) => feed.next()))
  expect(written.groups).toBe(1)
  for (const feed of feeds) await feed.return()
})
