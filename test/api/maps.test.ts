import { expect, test } from 'vitest'
import { testApi } from '../harness/api.ts'

const { run, person, database } = await testApi({
  handlers: {
    even: (input) => {
      const { n } = input as { n: number }
      if (n % 10 === 9) throw new Error(`${n} ends with a nine`)
      return { n }
    },
  },
})
const ann = await person()
const bob = await person()

const CREATE = `mutation ($definition: JSON!, $visibility: FlowVisibility) {
  createFlow(input: { definition: $definition, visibility: $visibility }) {
    ... on CreateFlowSuccess { flow { id } } ... on ValidationProblem { issues { code path message } } } }`
const START = `mutation ($flow: String!, $input: JSON!) {
  startExecution(input: { flow: $flow, input: $input, waitMs: 30000 }) {
    ... on StartExecutionSuccess { execution { id status error { code message step } output } } ... on Problem { code message } } }`

async function create(definition: object, owner = ann, visibility = 'PRIVATE') {
  const { data } = await run(owner, CREATE, { definition, visibility })
  expect(data.createFlow.issues).toBeUndefined()
}

async function start(flow: string, input: object, who = ann) {
  const { data } = await run(who, START, { flow, input })
  return data.startExecution.execution
}

test('the items of a map are shown page by page, by how they are, with counts (D9)', async () => {
  const step = { type: 'handler', handler: 'even', with: { n: '${{ item }}' } }
  await create({ name: 'evens', steps: { all: { type: 'map', over: '${{ input.list }}', parallel: 50, tolerate: '10%', step } } })
  const { id, status } = await start('evens', { list: Array.from({ length: 250 }, (_, n) => n) })
  expect(status).toBe('SUCCEEDED')
  const items = async (args: string) => {
    const text = `query ($id: ID!) { execution(id: $id) { steps { name counts { total succeeded failed skipped running }
      items(${args}) { edges { cursor node { path status error { code message } output } } pageInfo { hasNextPage endCursor } } } } }`
    const { data } = await run(ann, text, { id })
    return data.execution.steps[0]
  }
  const first = await items('first: 100')
  expect(first.counts).toEqual({ total: 250, succeeded: 225, failed: 25, skipped: 0, running: 0 })
  expect(first.items.edges).toHaveLength(100)
  expect(first.items.edges[10].node).toEqual({ path: 'all.items[10]', status: 'SUCCEEDED', error: null, output: { n: 10 } })
  expect(first.items.pageInfo.hasNextPage).toBe(true)
  const second = await items(`first: 100, after: "${first.items.pageInfo.endCursor}"`)
  expect(second.items.edges[0].node.path).toBe('all.items[100]')
  const failed = await items('first: 20, filter: { status: [FAILED] }')
  expect(failed.items.edges.map(({ node }: { node: { path: string } }) => node.path)).toEqual(
    Array.from({ length: 20 }, (_, n) => `all.items[${n * 10 + 9}]`),
  )
  const last = await items(`first: 20, filter: { status: [FAILED] }, after: "${failed.items.pageInfo.endCursor}"`)
  expect(last.items.edges).toHaveLength(5)
  expect(last.items.pageInfo.hasNextPage).toBe(false)
})

test('a child is shown with its parent, started by a step with the rights of whoever started that; audited (C1, C7)', async () => {
  await create({
    name: 'inner',
    steps: { a: { type: 'transform', set: { n: '${{ input.n }}' } } },
    output: { n: '${{ steps.a.output.n }}' },
  })
  await create({
    name: 'outer',
    steps: { a: { type: 'flow', flow: 'inner', input: { n: 7 } } },
    output: { n: '${{ steps.a.output.n }}' },
  })
  const { id, output } = await start('outer', {})
  expect(output).toEqual({ n: 7 })
  const text = `query ($id: ID!) { execution(id: $id) { children(first: 5) { edges { node { id status flow { name } parent { id } } } } } }`
  const { data } = await run(ann, text, { id })
  const [{ node: child }] = data.execution.children.edges
  expect(child).toMatchObject({ status: 'SUCCEEDED', flow: { name: 'inner' }, parent: { id } })
  const rows = await database.query<{ actor: string; parent: string }>(
    `select actor_id as actor, metadata ->> 'parent' as parent from sluice.audit_events
     where type = 'execution.started' and metadata ->> 'parent' = $1`,
    [id],
  )
  expect(rows).toEqual([{ actor: ann.id, parent: id }])
})

test('a flow that whoever started the execution may not start is as if it were not there (C2)', async () => {
  await create({ name: 'hidden', steps: { a: { type: 'transform', set: {} } } })
  await create({ name: 'open', steps: { a: { type: 'flow', flow: 'hidden' } } }, ann, 'PUBLIC')
  await create({ name: 'hidden', steps: { a: { type: 'transform', set: {} } } }, bob)
  expect(await start('open', {}, ann)).toMatchObject({ status: 'SUCCEEDED' })
  const refused = await start(`${ann.handle}/open`, {}, bob)
  expect(refused).toMatchObject({ status: 'FAILED', error: { code: 'FLOW_NOT_FOUND', step: 'a' } })
})

test('a loop shows its iterations', async () => {
  await create({
    name: 'thrice',
    steps: { a: { type: 'loop', times: 3, step: { type: 'transform', set: { i: '${{ iteration }}' } } } },
  })
  const { id } = await start('thrice', {})
  const text = `query ($id: ID!) { execution(id: $id) { steps { output counts { total succeeded } items(first: 10) { edges { node { path output } } } } } }`
  const { data } = await run(ann, text, { id })
  expect(data.execution.steps[0]).toEqual({
    output: { i: 3 },
    counts: { total: 3, succeeded: 3 },
    items: { edges: [1, 2, 3].map((i) => ({ node: { path: `a[${i}]`, output: { i } } })) },
  })
})
