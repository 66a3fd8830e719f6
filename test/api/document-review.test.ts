/** The example document_review through the API: shared with a team, and public; several people, each with their own sight of it. */
import { expect, test } from 'vitest'
import { documentReview } from '../../examples/flows/document-review.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import type { UserPrincipal } from '../../src/identity/principal.ts'
import { as, testApi } from '../harness/api.ts'

const { person, run, engine } = await testApi()

const CREATE = `mutation ($definition: JSON!, $visibility: FlowVisibility!) {
  createFlow(input: { definition: $definition, visibility: $visibility }) { __typename ... on CreateFlowSuccess { flow { id } } } }`
const SHARE = `mutation ($flow: ID!, $grants: [FlowGrantInput!]!) { grantFlowAccess(input: { flowId: $flow, grants: $grants }) { __typename } }`
const START = `mutation ($flow: String!, $input: JSON) { startExecution(input: { flow: $flow, input: $input }) {
  __typename ... on StartExecutionSuccess { execution { id } } } }`
const INBOX = `query { agentRequests(filter: { status: OPEN }) { edges { node { id subject request canAnswer approval { dataHash } } } } }`
const VOTE = `mutation ($input: AnswerAgentRequestInput!) { answerAgentRequest(input: $input) { __typename ... on Problem { code } } }`
const REVISE = `mutation ($input: SignalExecutionInput!) { signalExecution(input: $input) { __typename ... on Problem { code } } }`
const RESULT = `query ($id: ID!) { execution(id: $id) { status output completedSteps } }`

const inbox = async (who: UserPrincipal) =>
  (await run(who, INBOX)).data.agentRequests.edges.map(({ node }: { node: object }) => node)
async function vote(who: UserPrincipal, decision: string, data: unknown = null): Promise<string> {
  const request = (await inbox(who)).find(({ canAnswer }: { canAnswer: boolean }) => canAnswer)
  if (!request) return 'not asked'
  const input = { id: request.id, decision, data, dataHash: request.approval.dataHash }
  return (await run(who, VOTE, { input })).data.answerAgentRequest.__typename
}
async function result(who: UserPrincipal, id: string) {
  await engine.ended(decodeId('execution', id)!, 10_000)
  return (await run(who, RESULT, { id })).data.execution
}
const people = async (): Promise<[UserPrincipal, UserPrincipal, UserPrincipal, UserPrincipal, UserPrincipal]> =>
  [...[await person(), await person(), await person()], ...[await person(), await person()]] as [
    UserPrincipal,
    UserPrincipal,
    UserPrincipal,
    UserPrincipal,
    UserPrincipal,
  ]

test('shared with a team: rejected, revised by its author, and agreed on; nobody else sees any of it (B4)', async () => {
  const [owner, author, ann, bob, stranger] = await people()
  const { data } = await run(owner, CREATE, { definition: documentReview, visibility: 'PRIVATE' })
  const flow = as('CreateFlowSuccess', data.createFlow).flow.id
  const team = [author, ann, bob].map(({ handle }) => ({ to: { user: handle }, action: 'EXECUTE' }))
  await run(owner, SHARE, { flow, grants: team })
  const reviewers = [ann.handle, encodeId('user', bob.id), author.handle]
  expect((await run(stranger, START, { flow, input: {} })).data.startExecution.__typename).toBe('NotFoundProblem')
  const started = await run(author, START, { flow, input: { title: 'Plan', text: 'We shall.', reviewers } })
  const id = as('StartExecutionSuccess', started.data.startExecution).execution.id

  expect(await inbox(ann)).toMatchObject([{ subject: 'Publish "Plan"', request: { text: 'We shall.' }, canAnswer: true }])
  expect(await inbox(author)).toMatchObject([{ canAnswer: false }])
  expect(await inbox(stranger)).toEqual([])
  expect(await vote(author, 'APPROVE')).toBe('not asked')
  expect(await vote(ann, 'REJECT', 'Shall we?')).toBe('AnswerAgentRequestSuccess')
  const signal = (text: string) => run(author, REVISE, { input: { id, signal: 'revised', data: { text } } })
  expect((await signal('')).data.signalExecution.__typename).toBe('SignalExecutionSuccess')
  await signal('We shall, and here is why.')
  expect(await inbox(bob)).toMatchObject([
    { subject: 'Publish "Plan", revised', request: { text: 'We shall, and here is why.', objections: ['Shall we?'] } },
  ])
  for (const who of [ann, bob]) expect(await vote(who, 'APPROVE')).toBe('AnswerAgentRequestSuccess')
  expect(await result(author, id)).toMatchObject({
    status: 'SUCCEEDED',
    completedSteps: ['review', 'verdict', 'revision', 'second_review', 'accepted_revised', 'tell'],
    output: { published: true, text: 'We shall, and here is why.', votes: [{ decision: 'APPROVE' }, { decision: 'APPROVE' }] },
  })
})

test('public: anybody starts it and names who reviews; withdrawn, it is not published', async () => {
  const [owner, author, ann, bob, cy] = await people()
  const { data } = await run(owner, CREATE, { definition: documentReview, visibility: 'PUBLIC' })
  const flow = as('CreateFlowSuccess', data.createFlow).flow.id
  const start = async (reviewers: UserPrincipal[]) => {
    const input = { title: 'Note', text: 'Short.', reviewers: reviewers.map(({ handle }) => handle) }
    return as('StartExecutionSuccess', (await run(author, START, { flow, input })).data.startExecution).execution.id
  }
  const agreed = await start([ann, bob, cy])
  for (const who of [cy, ann]) await vote(who, 'APPROVE')
  expect(await result(author, agreed)).toMatchObject({ output: { published: true, text: 'Short.' } })

  const withdrawn = await start([ann, bob])
  await vote(bob, 'REJECT')
  await run(author, REVISE, { input: { id: withdrawn, signal: 'withdrawn' } })
  expect(await result(author, withdrawn)).toMatchObject({
    status: 'SUCCEEDED',
    output: { published: false, text: null, votes: [] },
  })
})
