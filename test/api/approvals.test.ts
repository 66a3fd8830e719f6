/** Approvals through the API: who sees them, who votes, on what, how often; and every door that must stay shut. */
import { expect, test } from 'vitest'
import { decodeId, encodeId } from '../../src/ids.ts'
import type { Principal, UserPrincipal } from '../../src/identity/principal.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import { createExecutionLink } from '../../src/operations/executions/create-execution-link.ts'
import { as, testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'

const { person, run, engine, call, audited, services, database } = await testApi()
let number = 0

const CREATE = `mutation ($definition: JSON!, $visibility: FlowVisibility!) {
  createFlow(input: { definition: $definition, visibility: $visibility }) {
    __typename ... on CreateFlowSuccess { flow { id } } ... on ValidationProblem { issues { code path message } } } }`
const START = `mutation ($flow: String!, $input: JSON) { startExecution(input: { flow: $flow, input: $input }) {
  __typename ... on StartExecutionSuccess { execution { id } } } }`
const INBOX = `query { agentRequests(filter: { status: OPEN, kind: APPROVAL }) { edges { node { id kind role subject request canAnswer deadlineAt
  approval { dataHash quorum rejects selfApproval votes { by { handle } } } execution { id } } } } }`
const ANSWER = `mutation ($input: AnswerAgentRequestInput!) { answerAgentRequest(input: $input) {
  __typename
  ... on AnswerAgentRequestSuccess { replayed agentRequest { status decision canAnswer approval { votes { by { handle } for { handle } decision data } } } }
  ... on Problem { code message path }
  ... on ValidationProblem { issues { code path } } } }`
const DELEGATE = `mutation ($id: ID!, $to: String!) { delegateApproval(input: { id: $id, to: $to }) {
  __typename
  ... on DelegateApprovalSuccess { agentRequest { canAnswer approval { delegations { from { handle } to { handle } } } } }
  ... on Problem { code message }
  ... on ValidationProblem { issues { code path message } } } }`
const WATCH = `query ($id: ID!) { execution(id: $id) { status output waitingFor { kind needed agentRequestId } error { code }
  steps { name status output } events { type data } } }`

interface Request {
  id: string
  kind: string
  canAnswer: boolean
  request: unknown
  approval: { dataHash: string; quorum: number; votes: object[] }
}

const ask = (more: object) => ({
  ask: { type: 'approval', subject: 'Buy ${{ input.what }}', data: { what: '${{ input.what }}' }, ...more },
})
async function started(owner: Principal, steps: object, { by = owner, visibility = 'PUBLIC', more = {} } = {}): Promise<string> {
  const definition = { name: `approval ${++number}`, steps, ...more }
  const { data } = await run(owner, CREATE, { definition, visibility })
  const flow = as('CreateFlowSuccess', data.createFlow).flow.id
  const made = await run(by, START, { flow, input: { what: 'a chair' } })
  return as('StartExecutionSuccess', made.data.startExecution).execution.id
}
const inbox = async (who: Principal): Promise<Request[]> =>
  (await run(who, INBOX)).data.agentRequests.edges.map(({ node }: { node: Request }) => node)
/** What they are asked by this execution. */
async function asked(who: Principal, execution: string): Promise<Request> {
  const requests = await database.query<{ id: string }>('select id from sluice.agent_requests where execution_id = $1', [
    decodeId('execution', execution),
  ])
  const request = (await inbox(who)).find(({ id }) => id === encodeId('agentRequest', requests[0]!.id))
  if (!request?.canAnswer) throw new Error('not asked')
  return request
}
const vote = async (who: Principal, { id, approval: { dataHash } }: Request, decision = 'APPROVE', more: object = {}) => {
  const { data, codes } = await run(who, ANSWER, { input: { id, decision, dataHash, ...more } })
  return codes[0] ?? data.answerAgentRequest
}
const delegate = async (who: Principal, { id }: Request, to: UserPrincipal) => {
  const { data, codes } = await run(who, DELEGATE, { id, to: to.handle })
  return codes[0] ?? data.delegateApproval
}
const look = async (who: Principal, id: string) => (await run(who, WATCH, { id })).data.execution
async function ended(who: Principal, id: string) {
  await engine.ended(decodeId('execution', id)!, 10_000)
  return look(who, id)
}
async function principalOf(secret: string): Promise<Principal> {
  const checked = await services.identity.authenticate(secret)
  if (!checked.ok) throw new Error(checked.reason)
  return checked.principal
}
const ILLEGAL = { __typename: 'IllegalStateProblem' }
const people = (count: number) => Promise.all(Array.from({ length: count }, () => person()))

test('a quorum of named people decides; the votes are the output, in the history and in the audit log', async () => {
  const [owner, ann, bob, cy] = (await people(4)) as [UserPrincipal, UserPrincipal, UserPrincipal, UserPrincipal]
  const users = [ann.handle, encodeId('user', bob.id), cy.handle]
  const id = await started(owner, ask({ users, quorum: 2 }))
  const waiting = (await look(owner, id)).waitingFor
  expect(waiting).toMatchObject({ kind: 'APPROVAL', needed: 2 })
  const request = await asked(ann, id)
  expect(request).toMatchObject({
    ...{ kind: 'APPROVAL', role: 'people', subject: 'Buy a chair', request: { what: 'a chair' }, execution: null },
    approval: { quorum: 2, rejects: 1, selfApproval: false, votes: [], dataHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
  })
  expect(request.id).toBe(waiting.agentRequestId)
  expect(await vote(ann, request, 'APPROVE', { data: { comment: 'Fine.' } })).toMatchObject({
    agentRequest: { status: 'OPEN', decision: null, canAnswer: false },
  })
  expect(await vote(bob, await asked(bob, id))).toMatchObject({ agentRequest: { status: 'ANSWERED', decision: 'APPROVE' } })
  const done = await ended(owner, id)
  expect(done.status).toBe('SUCCEEDED')
  expect(done.steps[0].output).toEqual({
    ...{ decision: 'APPROVE', dataHash: request.approval.dataHash },
    votes: [
      { by: encodeId('user', ann.id), decision: 'APPROVE', data: { comment: 'Fine.' }, at: expect.any(String) },
      { by: encodeId('user', bob.id), decision: 'APPROVE', data: null, at: expect.any(String) },
    ],
  })
  expect(done.events.map(({ type }: { type: string }) => type)).toEqual(
    expect.arrayContaining(['approval.asked', 'approval.voted', 'step.succeeded']),
  )
  expect(await vote(cy, request)).toMatchObject({ ...ILLEGAL })
  expect((await inbox(cy)).filter((open) => open.id === request.id)).toEqual([])
  expect((await audited(ann.id)).map(({ type }) => type)).toEqual(['agentRequest.answered'])
})

test('so many rejections are a decision too, and the step succeeds with it', async () => {
  const [owner, ann, bob] = (await people(3)) as [UserPrincipal, UserPrincipal, UserPrincipal]
  const id = await started(owner, ask({ users: [ann.handle, bob.handle], quorum: 1, rejects: 2 }))
  await vote(ann, await asked(ann, id), 'REJECT')
  expect((await look(owner, id)).status).toBe('WAITING')
  await vote(bob, await asked(bob, id), 'REJECT')
  expect((await ended(owner, id)).steps[0]).toMatchObject({ status: 'SUCCEEDED', output: { decision: 'REJECT' } })
})

test('votes that come at the same moment count once each, and one of a person once', async () => {
  const [owner, ann, bob] = (await people(3)) as [UserPrincipal, UserPrincipal, UserPrincipal]
  const id = await started(owner, ask({ users: [ann.handle, bob.handle], quorum: 2 }))
  const request = await asked(ann, id)
  const twice = await Promise.all([vote(ann, request), vote(ann, request), vote(ann, request, 'REJECT')])
  expect(twice.filter((answer) => answer.__typename === 'AnswerAgentRequestSuccess')).toHaveLength(1)
  expect((await look(owner, id)).status).toBe(twice[2].__typename === 'IllegalStateProblem' ? 'WAITING' : 'SUCCEEDED')

  const other = await started(owner, ask({ users: [ann.handle, bob.handle], quorum: 2 }))
  const open = await asked(ann, other)
  await Promise.all([vote(ann, open), vote(bob, open)])
  expect((await ended(owner, other)).steps[0].output.votes).toHaveLength(2)
  const stored = await database.query<{ n: number }>('select count(*)::int as n from sluice.votes where request_id = $1', [
    decodeId('agentRequest', open.id),
  ])
  expect(stored).toEqual([{ n: 2 }])
})

test('a replay of a vote is answered alike; the same key with another decision is refused (E2)', async () => {
  const [owner, ann] = (await people(2)) as [UserPrincipal, UserPrincipal]
  const id = await started(owner, ask({ users: [ann.handle] }))
  const request = await asked(ann, id)
  expect(await vote(ann, request, 'APPROVE', { idempotencyKey: 'v' })).toMatchObject({ replayed: false })
  expect(await vote(ann, request, 'APPROVE', { idempotencyKey: 'v' })).toMatchObject({ replayed: true })
  expect(await vote(ann, request, 'REJECT', { idempotencyKey: 'v' })).toMatchObject({ __typename: 'IdempotencyMismatchProblem' })
  expect(await vote(ann, request)).toMatchObject(ILLEGAL)
})

test('a vote names the hash of what was shown: without it, with another, or with that of another request nothing is counted', async () => {
  const [owner, ann] = (await people(2)) as [UserPrincipal, UserPrincipal]
  const id = await started(owner, ask({ users: [ann.handle] }))
  const request = await asked(ann, id)
  const other = await started(owner, ask({ users: [ann.handle], data: { what: 'a house' } }))
  const another = await asked(ann, other)
  expect(another.approval.dataHash).not.toBe(request.approval.dataHash)
  for (const dataHash of [undefined, 'a'.repeat(64), '', another.approval.dataHash]) {
    expect(await vote(ann, request, 'APPROVE', { dataHash })).toMatchObject({
      __typename: 'ValidationProblem',
      issues: [{ path: ['dataHash'] }],
    })
  }
  expect(await vote(ann, request, 'ANSWER')).toMatchObject({ issues: [{ path: ['decision'] }] })
  expect(await vote(ann, request, 'APPROVE', { data: 'x'.repeat(2000) })).toMatchObject({ __typename: 'StateTooLargeProblem' })
  for (const open of [id, other]) expect((await look(owner, open)).status).toBe('WAITING')
})

test('what is sensitive is shown masked, and the hash tells nothing of it', async () => {
  const [owner, ann] = (await people(2)) as [UserPrincipal, UserPrincipal]
  const input = { type: 'object', properties: { what: { type: 'string' }, salary: { type: 'number', sensitive: true } } }
  const definition = { name: 'raise', input, steps: ask({ users: [ann.handle], data: { salary: '${{ input.salary }}' } }) }
  const { data } = await run(owner, CREATE, { definition, visibility: 'PUBLIC' })
  const hashes = new Set<string>()
  for (const salary of [1_234_567, 7_654_321]) {
    const made = await run(owner, START, { flow: data.createFlow.flow.id, input: { what: 'a raise', salary } })
    const { id } = made.data.startExecution.execution
    const request = await asked(ann, id)
    expect(JSON.stringify(request)).not.toContain(String(salary))
    hashes.add(request.approval.dataHash)
    await vote(ann, request)
  }
  expect(hashes.size).toBe(1)
})

test('only those who are named and may start the flow are asked; to others it is not there (B4, C2)', async () => {
  const [owner, ann, stranger, viewer, admin] = [
    ...(await people(3)),
    await person('VIEWER'),
    await person('ADMIN'),
  ] as UserPrincipal[] & {
    length: 5
  }
  const users = [ann!.handle, viewer!.handle]
  const id = await started(owner!, ask({ users }), { visibility: 'PRIVATE' })
  const request = (await inbox(owner!)).find(({ canAnswer }) => !canAnswer)!
  const sees = async (who: Principal) => (await inbox(who)).some((found) => found.id === request.id)
  for (const nobody of [ann!, stranger!, viewer!]) {
    expect(await sees(nobody)).toBe(false)
    expect(await vote(nobody, request)).toMatchObject({ __typename: 'NotFoundProblem' })
  }
  // whoever manages the flow, and administrators, see it and have no vote: they are not named
  for (const seer of [owner!, admin!]) expect(await vote(seer, request)).toBe('FORBIDDEN')
  const flow = decodeId('execution', id)!
  const [{ flow_id: flowId }] = (await database.query<{ flow_id: string }>(
    'select flow_id from sluice.executions where id = $1',
    [flow],
  )) as [{ flow_id: string }]
  for (const [action, isSeen] of [
    ['VIEW', false],
    ['EXECUTE', true],
  ] as const) {
    await run(
      owner,
      `mutation { grantFlowAccess(input: { flowId: "${encodeId('flow', flowId)}", grants: [{ to: { user: "${ann!.handle}" }, action: ${action} }] }) { __typename } }`,
    )
    expect(await sees(ann!)).toBe(isSeen)
  }
  expect(await vote(ann!, request)).toMatchObject({ agentRequest: { status: 'ANSWERED' } })
})

test('a role is asked: everybody of it but who started it', async () => {
  const [owner, ann] = (await people(2)) as [UserPrincipal, UserPrincipal]
  const admin = await person('ADMIN')
  const id = await started(owner, ask({ roles: ['USER'] }), { by: ann })
  const request = await asked(owner, id)
  expect((await inbox(ann)).find((found) => found.id === request.id)).toMatchObject({ canAnswer: false })
  expect(await vote(ann, request)).toBe('FORBIDDEN')
  expect(await vote(admin, request)).toBe('FORBIDDEN')
  expect(await vote(owner, request)).toMatchObject({ agentRequest: { decision: 'APPROVE' } })
})

test('who started it has no vote, by whatever door: session, key, link, agent, delegation', async () => {
  const [ann, bob] = (await people(2)) as [UserPrincipal, UserPrincipal]
  const id = await started(ann, ask({ roles: ['USER'], quorum: 2 }))
  const request = await asked(bob, id)
  const executionId = decodeId('execution', id)!
  const key = unwrap(await createApiKey(call(ann), { name: 'mine', scopes: ['REQUESTS_ANSWER'] }))
  const annsLink = unwrap(await createExecutionLink(call(ann), { executionId, may: 'ANSWER' }))
  for (const secret of [key.secret, annsLink.token]) expect(await vote(await principalOf(secret), request)).toBe('FORBIDDEN')
  expect(await vote(ann, request)).toBe('FORBIDDEN')
  expect(await delegate(ann, request, bob)).toBe('FORBIDDEN')
  expect(await delegate(bob, request, ann)).toMatchObject({ __typename: 'ValidationProblem', issues: [{ path: ['to'] }] })
  expect((await look(ann, id)).steps[0].status).toBe('WAITING')
  expect((await audited(ann.id)).map(({ type }) => type)).toContain('agentRequest.answerRefused')
})

test('a link of somebody who may vote does not: nobody can tell who holds it', async () => {
  const [owner, ann] = (await people(2)) as [UserPrincipal, UserPrincipal]
  const admin = await person('ADMIN')
  const id = await started(owner, ask({ users: [admin.handle] }), { by: ann })
  const { token } = unwrap(await createExecutionLink(call(admin), { executionId: decodeId('execution', id)!, may: 'ANSWER' }))
  const request = await asked(admin, id)
  expect(await vote(await principalOf(token), request)).toBe('FORBIDDEN')
  const key = unwrap(await createApiKey(call(admin), { name: 'mine', scopes: ['REQUESTS_ANSWER'] }))
  // a key is its owner, who is asked; what it votes is their one vote
  expect(await vote(await principalOf(key.secret), request)).toMatchObject({ agentRequest: { status: 'ANSWERED' } })
})

test('whose agent started it has no vote either', async () => {
  const [owner] = await people(1)
  const [admin, other] = [await person('ADMIN'), await person('ADMIN')]
  const scopes = ['FLOWS_READ', 'EXECUTIONS_WRITE'] as const
  const made = unwrap(await createApiKey(call(admin), { name: 'agent', agentRoles: ['ceo'], scopes: [...scopes] }))
  const definition = { name: `approval ${++number}`, steps: ask({ roles: ['ADMIN'] }) }
  const { data } = await run(owner, CREATE, { definition, visibility: 'PUBLIC' })
  const flow = data.createFlow.flow.id
  await run(
    owner,
    `mutation { grantFlowAccess(input: { flowId: "${flow}", grants: [{ to: { agentRole: "ceo" }, action: EXECUTE }] }) { __typename } }`,
  )
  const begun = await run(await principalOf(made.secret), START, { flow, input: { what: 'power' } })
  const { id } = begun.data.startExecution.execution
  const request = await asked(other, id)
  expect(await vote(admin, request)).toBe('FORBIDDEN')
  expect(await vote(other, request)).toMatchObject({ agentRequest: { status: 'ANSWERED' } })
})

test('with selfApproval who started it may vote', async () => {
  const [ann] = (await people(1)) as [UserPrincipal]
  const id = await started(ann, ask({ users: [ann.handle], selfApproval: true }))
  await vote(ann, await asked(ann, id))
  expect((await ended(ann, id)).status).toBe('SUCCEEDED')
})

test('a vote is handed on once, to somebody without one; nobody has two', async () => {
  const [owner, ann, bob, cy, dan] = (await people(5)) as [
    UserPrincipal,
    UserPrincipal,
    UserPrincipal,
    UserPrincipal,
    UserPrincipal,
  ]
  const id = await started(owner, ask({ users: [ann.handle, bob.handle], quorum: 2 }))
  const request = await asked(ann, id)
  expect(await delegate(ann, request, bob)).toMatchObject({ issues: [{ path: ['to'], message: 'They have a vote already.' }] })
  expect(await delegate(cy, request, dan)).toMatchObject({ __typename: 'NotFoundProblem' })
  expect(await delegate(ann, request, await person('VIEWER'))).toMatchObject({ __typename: 'ValidationProblem' })
  expect(await delegate(ann, request, cy)).toMatchObject({
    agentRequest: { canAnswer: false, approval: { delegations: [{ from: { handle: ann.handle }, to: { handle: cy.handle } }] } },
  })
  expect(await vote(ann, request)).toBe('FORBIDDEN')
  expect(await delegate(bob, request, cy)).toMatchObject({ issues: [{ message: 'They have a vote already.' }] })
  expect(await delegate(cy, await asked(cy, id), dan)).toMatchObject(ILLEGAL)
  expect(await vote(cy, await asked(cy, id))).toMatchObject({
    agentRequest: { approval: { votes: [{ by: { handle: cy.handle }, for: { handle: ann.handle }, decision: 'APPROVE' }] } },
  })
  expect(await vote(cy, request)).toMatchObject(ILLEGAL)
  await vote(bob, request)
  expect((await ended(owner, id)).steps[0].output.votes).toMatchObject([
    { by: encodeId('user', cy.id), for: encodeId('user', ann.id) },
    { by: encodeId('user', bob.id) },
  ])
  expect((await audited(ann.id)).map(({ type }) => type)).toContain('approval.delegated')
})

test('a vote and its delegation at the same moment: one of the two', async () => {
  const [owner, ann, bob] = (await people(3)) as [UserPrincipal, UserPrincipal, UserPrincipal]
  const id = await started(owner, ask({ users: [ann.handle], quorum: 1, rejects: 2 }))
  const request = await asked(ann, id)
  const [voted, handed] = await Promise.all([vote(ann, request, 'REJECT'), delegate(ann, request, bob)])
  expect(
    [voted.__typename === 'AnswerAgentRequestSuccess', handed.__typename === 'DelegateApprovalSuccess'].filter(Boolean),
  ).toHaveLength(1)
})

test('its time over the step fails; canceled, it asks nobody any more', async () => {
  const [owner, ann] = (await people(2)) as [UserPrincipal, UserPrincipal]
  const late = await started(owner, ask({ users: [ann.handle], timeout: 'PT0.05S' }))
  expect(await ended(owner, late)).toMatchObject({ status: 'FAILED', error: { code: 'APPROVAL_TIMEOUT' } })
  const id = await started(owner, ask({ users: [ann.handle] }))
  const request = await asked(ann, id)
  await run(owner, `mutation { cancelExecution(input: { id: "${id}" }) { __typename } }`)
  expect((await inbox(ann)).filter((open) => open.id === request.id)).toEqual([])
  expect(await vote(ann, request)).toMatchObject(ILLEGAL)
})

test('while it is paused votes count, and nothing goes on', async () => {
  const [owner, ann] = (await people(2)) as [UserPrincipal, UserPrincipal]
  const id = await started(owner, { ...ask({ users: [ann.handle] }), then: { type: 'transform', after: ['ask'], set: {} } })
  await run(owner, `mutation { pauseExecution(input: { id: "${id}" }) { __typename } }`)
  await vote(ann, await asked(ann, id))
  expect(await look(owner, id)).toMatchObject({ status: 'PAUSED', steps: [{ status: 'SUCCEEDED' }, { status: 'PENDING' }] })
  await run(owner, `mutation { resumeExecution(input: { id: "${id}" }) { __typename } }`)
  expect((await ended(owner, id)).status).toBe('SUCCEEDED')
})

test('who is asked may come from the input; what is no list of people fails the step', async () => {
  const [owner, ann] = (await people(2)) as [UserPrincipal, UserPrincipal]
  const definition = { name: `approval ${++number}`, steps: ask({ users: '${{ input.reviewers }}' }) }
  const { data } = await run(owner, CREATE, { definition, visibility: 'PUBLIC' })
  const flow = data.createFlow.flow.id
  const start = async (input: object) => (await run(owner, START, { flow, input })).data.startExecution.execution.id
  const id = await start({ what: 'it', reviewers: [ann.handle] })
  await vote(ann, await asked(ann, id))
  expect((await ended(owner, id)).status).toBe('SUCCEEDED')
  for (const reviewers of ['everybody', [], [1]])
    expect(await ended(owner, await start({ what: 'it', reviewers }))).toMatchObject({ error: { code: 'EXPRESSION_FAILED' } })
})

test('each item of a map asks people of its own', async () => {
  const [owner, ann, bob] = (await people(3)) as [UserPrincipal, UserPrincipal, UserPrincipal]
  const each = { type: 'approval', subject: 'Do you agree?', data: { index: '${{ index }}' }, users: ['${{ item }}'] }
  const id = await started(owner, { all: { type: 'map', over: [ann.handle, bob.handle], step: each } })
  for (const who of [ann, bob]) {
    const own = (await inbox(who)).filter(({ canAnswer, request }) => canAnswer && (request as object | null) !== null)
    const mine = own.find((request) => 'index' in (request.request as object))!
    expect(mine.request).toEqual({ index: who === ann ? 0 : 1 })
    await vote(who, mine)
  }
  expect((await ended(owner, id)).steps[0].output.items).toMatchObject([{ decision: 'APPROVE' }, { decision: 'APPROVE' }])
})

test.each([
  [{}, 'REQUIRED'],
  [{ roles: ['VIEWER'] }, 'INVALID_VALUE'],
  [{ roles: ['USER', 'USER'] }, 'DUPLICATE'],
  [{ users: ['ann'], quorum: 2 }, 'INVALID_VALUE'],
  [{ users: 'ann' }, 'INVALID_VALUE'],
  [{ users: ['ann'], quorum: 21 }, 'INVALID_VALUE'],
])('the definition %j is refused', async (more, code) => {
  const definition = { name: 'x', steps: ask(more) }
  const { data } = await run(await person(), CREATE, { definition, visibility: 'PRIVATE' })
  expect(as('ValidationProblem', data.createFlow).issues[0].code).toBe(code)
})

test('nothing that is stored contradicts itself', async () => {
  // the items of a map are told only where they fail
  const except = ['what is recorded as a step run is in the history once']
  expect(await breaches(database, { atTheEnd: false, except })).toEqual([])
})
