/** Connections: filters, orders, pages, and what each principal is shown. */
import { expect, test } from 'vitest'
import { encodeId } from '../../src/ids.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { testApi } from '../harness/api.ts'
import { recordStatements } from '../harness/record-statements.ts'

const { person, run, audited } = await testApi()

const [owner, user, stranger, viewer, admin] = [
  await person(),
  await person(),
  await person(),
  await person('VIEWER'),
  await person('ADMIN'),
]
const definition = (name: string) => ({
  name,
  steps: {
    ask: { type: 'agent', role: 'ceo', subject: name, request: {} },
    done: { type: 'transform', after: ['ask'], set: { ok: true } },
  },
})

async function createFlow(who: Principal, name: string, visibility = 'PUBLIC'): Promise<string> {
  const mutation = `mutation ($definition: JSON!, $visibility: FlowVisibility) {
    createFlow(input: { definition: $definition, visibility: $visibility }) { ... on CreateFlowSuccess { flow { id } } } }`
  return (await run(who, mutation, { definition: definition(name), visibility })).data.createFlow.flow.id
}

async function start(who: Principal, flow: string, more: object = {}): Promise<string> {
  const mutation = `mutation ($input: StartExecutionInput!) {
    startExecution(input: $input) { ... on StartExecutionSuccess { execution { id } } ... on Problem { message } } }`
  return (await run(who, mutation, { input: { flow, ...more } })).data.startExecution.execution.id
}

const shared = await createFlow(owner, 'shared')
const hidden = await createFlow(owner, 'hidden', 'PRIVATE')
const mine = await createFlow(user, 'mine', 'PRIVATE')
const executions: Record<string, string> = {
  ownShared: await start(owner, shared, { labels: [{ key: 'team', value: "o'neil" }] }),
  ownHidden: await start(owner, hidden),
  userShared: await start(user, shared, {
    labels: [
      { key: 'team', value: 'web' },
      { key: 'env', value: 'test' },
    ],
  }),
  userMine: await start(user, mine),
}
const canceled = await start(user, mine)
await run(user, 'mutation ($id: ID!) { cancelExecution(input: { id: $id }) { __typename } }', { id: canceled })
executions['canceled'] = canceled

const nameOf = (id: string) => Object.entries(executions).find(([, known]) => known === id)?.[0]

async function list(who: Principal, args = '', variables: Record<string, unknown> = {}): Promise<string[]> {
  const declared = Object.keys(variables).length > 0 ? `($filter: ExecutionFilter)` : ''
  const { data } = await run(who, `query ${declared} { executions${args} { edges { node { id } } } }`, variables)
  return data.executions.edges.map(({ node }: { node: { id: string } }) => nameOf(node.id))
}
const filtered = (who: Principal, filter: object) => list(who, '(filter: $filter)', { filter })

test('each is shown what they started and what their flows ran, the newest first (B4)', async () => {
  expect(await list(user)).toEqual(['canceled', 'userMine', 'userShared'])
  expect(await list(owner)).toEqual(['userShared', 'ownHidden', 'ownShared'])
  expect(await list(stranger)).toEqual([])
  expect(await list(viewer)).toEqual([])
  expect(await list(admin)).toEqual(['canceled', 'userMine', 'userShared', 'ownHidden', 'ownShared'])
  expect(await list(admin, '(orderBy: OLDEST_FIRST, first: 2)')).toEqual(['ownShared', 'ownHidden'])
})

test('executions are found by status, flow, label, initiator and time', async () => {
  expect(await filtered(user, { status: ['CANCELED'] })).toEqual(['canceled'])
  expect(await filtered(user, { status: ['WAITING', 'CANCELED'] })).toEqual(['canceled', 'userMine', 'userShared'])
  expect(await filtered(user, { status: [] })).toEqual([])
  expect(await filtered(owner, { flow: 'shared' })).toEqual(['userShared', 'ownShared'])
  expect(await filtered(owner, { flow: hidden })).toEqual(['ownHidden'])
  expect(await filtered(user, { flow: `${owner.handle}/hidden` })).toEqual([])
  expect(await filtered(user, { flow: hidden })).toEqual([])
  expect(await filtered(admin, { label: { key: 'team', value: "o'neil" } })).toEqual(['ownShared'])
  expect(await filtered(admin, { label: { key: 'env', value: 'test' } })).toEqual(['userShared'])
  expect(await filtered(admin, { initiator: encodeId('user', owner.id) })).toEqual(['ownHidden', 'ownShared'])
  expect(await filtered(admin, { initiator: 'user_nonsense' })).toEqual([])
  const now = new Date().toISOString()
  expect(await filtered(user, { createdAfter: now })).toEqual([])
  expect(await filtered(user, { createdBefore: now, createdAfter: '2020-01-01T00:00:00Z' })).toEqual([
    'canceled',
    'userMine',
    'userShared',
  ])
  expect(await filtered(user, { createdAfter: null, status: null })).toEqual(['canceled', 'userMine', 'userShared'])
})

test('a page ends where the next begins, forwards and backwards', async () => {
  const PAGE = `query ($first: Int, $after: String, $last: Int, $before: String) {
    executions(first: $first, after: $after, last: $last, before: $before) {
      edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`
  const page = async (variables: object) => {
    const { data } = await run(admin, PAGE, variables as Record<string, unknown>)
    return {
      ids: data.executions.edges.map(({ node }: { node: { id: string } }) => nameOf(node.id)),
      ...data.executions.pageInfo,
    }
  }
  const first = await page({ first: 2 })
  expect(first).toMatchObject({ ids: ['canceled', 'userMine'], hasNextPage: true, hasPreviousPage: false })
  const second = await page({ first: 2, after: first.endCursor })
  expect(second).toMatchObject({ ids: ['userShared', 'ownHidden'], hasNextPage: true, hasPreviousPage: true })
  expect(await page({ first: 2, after: second.endCursor })).toMatchObject({ ids: ['ownShared'], hasNextPage: false })
  expect(await page({ last: 2, before: second.startCursor })).toMatchObject({
    ids: ['canceled', 'userMine'],
    hasPreviousPage: false,
  })
  expect(await page({ last: 2 })).toMatchObject({ ids: ['ownHidden', 'ownShared'], hasPreviousPage: true })
})

test('a bad page or cursor is refused, and not misread', async () => {
  const codes = async (args: string) => (await run(admin, `{ executions(${args}) { edges { cursor } } }`)).codes
  expect(await codes('first: 101')).toEqual(['BAD_REQUEST'])
  expect(await codes('first: -1')).toEqual(['BAD_REQUEST'])
  expect(await codes('first: 1, last: 1')).toEqual(['BAD_REQUEST'])
  expect(await codes('after: "nonsense"')).toEqual(['BAD_CURSOR'])
  const { data } = await run(admin, '{ flows(first: 1) { pageInfo { endCursor } } }')
  expect(await codes(`after: "${data.flows.pageInfo.endCursor}"`)).toEqual(['BAD_CURSOR'])
})

test('flows are listed as far as they may be seen', async () => {
  const names = async (who: Principal, filter: object = {}) => {
    const { data } = await run(who, 'query ($filter: FlowFilter) { flows(filter: $filter) { edges { node { name } } } }', {
      filter,
    })
    return data.flows.edges.map(({ node }: { node: { name: string } }) => node.name)
  }
  expect(await names(owner)).toEqual(['hidden', 'shared'])
  expect(await names(user)).toEqual(['mine', 'shared'])
  expect(await names(viewer)).toEqual(['shared'])
  expect(await names(admin)).toEqual(['mine', 'hidden', 'shared'])
  expect(await names(admin, { owner: owner.handle })).toEqual(['hidden', 'shared'])
  expect(await names(user, { owner: owner.handle })).toEqual(['shared'])
  expect(await names(admin, { visibility: 'PRIVATE' })).toEqual(['mine', 'hidden'])
  expect(await names(admin, { name: 'mine' })).toEqual(['mine'])
})

test('agent requests are listed with their executions, and a filter narrows them', async () => {
  const subjects = async (who: Principal, filter: object = {}) => {
    const source =
      'query ($filter: AgentRequestFilter) { agentRequests(filter: $filter) { edges { node { subject execution { id } } } } }'
    const { data } = await run(who, source, { filter })
    return data.agentRequests.edges.map(({ node }: { node: { execution: { id: string } } }) => nameOf(node.execution.id))
  }
  expect(await subjects(owner)).toEqual(['userShared', 'ownHidden', 'ownShared'])
  expect(await subjects(user)).toEqual(['canceled', 'userMine', 'userShared'])
  expect(await subjects(user, { status: ['OPEN'] })).toEqual(['userMine', 'userShared'])
  expect(await subjects(stranger)).toEqual([])
  expect(await subjects(admin, { role: 'ceo', status: ['OPEN'] })).toEqual(['userMine', 'userShared', 'ownHidden', 'ownShared'])
  expect(await subjects(admin, { role: 'cto' })).toEqual([])
  expect(await subjects(admin, { execution: executions['userMine'] })).toEqual(['userMine'])
  expect(await subjects(owner, { execution: executions['userMine'] })).toEqual([])
})

test('node and relations show what the queries show, and nothing more (B4)', async () => {
  const node = async (who: Principal, id: string) =>
    (await run(who, 'query ($id: ID!) { node(id: $id) { id __typename } }', { id })).data.node
  expect(await node(owner, hidden)).toEqual({ id: hidden, __typename: 'Flow' })
  expect(await node(user, hidden)).toBeNull()
  expect(await node(user, executions['ownHidden']!)).toBeNull()
  expect(await node(owner, executions['userShared']!)).toMatchObject({ __typename: 'Execution' })
  const { data } = await run(admin, '{ auditEvents(first: 1) { edges { node { id } } } }')
  const event = data.auditEvents.edges[0].node.id
  expect(await node(admin, event)).toMatchObject({ __typename: 'AuditEvent' })
  expect(await node(user, event)).toBeNull()
  expect((await run(undefined, 'query ($id: ID!) { node(id: $id) { id } }', { id: shared })).codes).toEqual(['UNAUTHENTICATED'])
  const { data: seen } = await run(user, 'query ($id: ID!) { execution(id: $id) { id } flow(id: $id) { id } }', {
    id: executions['ownHidden'],
  })
  expect(seen).toEqual({ execution: null, flow: null })
})

test('flow takes an id or a name, and says what else is called so', async () => {
  const ask = (who: Principal, args: string) => run(who, `{ flow${args} { name owner { handle } } }`)
  expect((await ask(user, '(name: "mine")')).data.flow).toEqual({ name: 'mine', owner: { handle: user.handle } })
  expect((await ask(owner, `(id: "${mine}")`)).data.flow).toBeNull()
  expect((await ask(user, '')).codes).toEqual(['BAD_REQUEST'])
  expect((await ask(user, `(id: "${mine}", name: "mine")`)).codes).toEqual(['BAD_REQUEST'])
  await createFlow(user, 'twin')
  await createFlow(owner, 'twin')
  const ambiguous = await ask(stranger, '(name: "twin")')
  expect(ambiguous.codes).toEqual(['AMBIGUOUS'])
  expect((ambiguous.errors[0]!.extensions!['candidates'] as string[]).toSorted()).toEqual(
    [`${user.handle}/twin`, `${owner.handle}/twin`].toSorted(),
  )
})

test('the audit log is for administrators; another who asks is refused, and that is audited (A7, C7)', async () => {
  const AUDIT = `query ($filter: AuditFilter) { auditEvents(filter: $filter, first: 100) {
    edges { node { type severity actorKind actor { handle } flow { name } execution { id } executionId success errorCode at ip } } } }`
  const events = async (filter: object) =>
    (await run(admin, AUDIT, { filter })).data.auditEvents.edges.map(({ node }: { node: Record<string, unknown> }) => node)
  const byUser = await events({ actor: encodeId('user', user.id) })
  expect(byUser).toContainEqual(
    expect.objectContaining({
      ...{ type: 'execution.started', actorKind: 'USER', actor: { handle: user.handle }, flow: { name: 'mine' }, success: true },
      ...{ execution: { id: executions['userMine'] }, executionId: executions['userMine'], ip: '192.0.2.1' },
    }),
  )
  expect(
    (await events({ type: 'execution.cancelRequested' })).map(({ executionId }: Record<string, unknown>) => executionId),
  ).toEqual([canceled])
  expect(await events({ before: '2020-01-01T00:00:00Z' })).toEqual([])
  expect((await events({ flow: hidden })).length).toBeGreaterThan(0)

  for (const somebody of [user, viewer]) {
    const refused = await run(somebody, AUDIT, {})
    expect(refused.codes).toEqual(['FORBIDDEN'])
    expect((await audited(somebody.id)).at(-1)).toMatchObject({ type: 'audit.readingRefused', success: false })
  }
})

test('a page of executions with everything about each takes as many statements as one of them', async () => {
  const EVERYTHING = `query ($first: Int!) { executions(filter: { status: [WAITING] }, first: $first) { edges { node {
    input state output stateBytes routeTaken completedSteps flow { name owner { handle } latestVersion { number } } flowVersion { number definition }
    initiator { handle } steps { name status input output waitingFor { role } } waitingFor { agentRequest { request answer } }
    events(first: 5) { type } picture(format: MERMAID) } } } }`
  const statements = async (first: number) => {
    const answer = await recordStatements(() => run(admin, EVERYTHING, { first }))
    expect(answer.result.errors).toEqual([])
    return answer.statements.length
  }
  await statements(5)
  const [one, five] = [await statements(1), await statements(5)]
  expect(one).toBeGreaterThan(5)
  expect(five).toBe(one)
})
