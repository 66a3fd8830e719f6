/** Follows feature_approval live, without a framework or a build: starts one, shows its picture and its history, answers for the ceo. */
import { createFeed, executionFeedOf } from '@sluice/feed'
import { signIn } from '@sluice/feed/session'
import { overWebSocket } from '@sluice/feed/websocket'

const url = new URLSearchParams(location.search).get('server') ?? 'http://localhost:4000/graphql'
const find = (selector) => document.querySelector(selector)
const STATE = 'id status version picture progress { total finished } waitingFor { agentRequest { id subject } }'
const EVENT = 'seq type at step data'
const kind = executionFeedOf(`subscription ($id: ID!, $after: String) { executionFeed(id: $id, after: $after) {
  __typename
  ... on FeedFrame { cursor }
  ... on FeedSnapshot { execution { ${STATE} events(first: 500) { ${EVENT} } } }
  ... on FeedDelta { execution { ${STATE} } events { ${EVENT} } }
  ... on FeedEnd { reason execution { ${STATE} } }
  ... on FeedClosed { reason } } }`)
const START = `mutation ($input: JSON!) { startExecution(input: { flow: "feature_approval", input: $input }) {
  ... on StartExecutionSuccess { execution { id } } ... on Problem { message } } }`
const ANSWER = `mutation ($id: ID!, $decision: AgentDecision!) {
  answerAgentRequest(input: { id: $id, decision: $decision }) { ... on Problem { message } } }`

let session
let question
let stop = () => undefined
find('#start').addEventListener('submit', async (event) => {
  event.preventDefault()
  const { email, password, cost } = Object.fromEntries(new FormData(event.target))
  session ??= await signIn({ url }, { email, password })
  const input = { feature_name: 'Live dashboards', estimated_cost: Number(cost) }
  const { startExecution } = await session.run(START, { input })
  if (!startExecution.execution) throw new Error(startExecution.message)
  stop()
  const transport = overWebSocket({ url, token: session.token })
  stop = createFeed({ transport, kind, variables: startExecution.execution }).subscribe(show)
})

find('#question').addEventListener('click', ({ target }) => {
  if (target.value) void session.run(ANSWER, { id: question.id, decision: target.value })
})

function show({ status, problem, ending, view: { execution, events } }) {
  Object.assign(find('#connection'), { textContent: [status, problem].filter(Boolean).join(': '), className: status })
  find('#problem').textContent = ending?.errors[0]?.message ?? ''
  if (!execution) return
  const { id, progress, waitingFor, picture } = execution
  find('main').hidden = false
  Object.assign(find('#status'), { textContent: execution.status, className: execution.status })
  find('#id').textContent = id
  find('#progress').value = progress.finished / progress.total
  find('#picture').src = `data:image/svg+xml,${encodeURIComponent(picture)}`
  question = waitingFor?.agentRequest
  find('#question').hidden = !question
  find('#question b').textContent = question?.subject ?? ''
  find('#history').replaceChildren(...events.map(rowOf))
}

function rowOf({ at, type, step, data }) {
  const row = Object.assign(document.createElement('li'), { className: type.split('.')[1] })
  for (const text of [at.slice(11, 23), type, step ?? '', data?.subject ?? data?.message ?? '']) {
    row.append(Object.assign(document.createElement('span'), { textContent: text }))
  }
  return row
}

window.addEventListener('unhandledrejection', ({ reason }) => (find('#problem').textContent = reason.message))
