/** Follows feature_approval live, without a framework or a build: starts one, shows its picture and its history, answers for the ceo. */
import { createFeed, executionFeedOf } from '@sluice/feed'
import { signIn } from '@sluice/feed/session'
import { overWebSocket } from '@sluice/feed/websocket'

const url = new URLSearchParams(location.search).get('server') ?? 'http://localhost:4000/graphql'
const execution = 'id status version picture progress { total finished } waitingFor { agentRequest { id subject } }'
const kind = executionFeedOf({ execution, events: 'seq type at step data' })
const START = `mutation ($input: JSON!) { startExecution(input: { flow: "feature_approval", input: $input }) {
  ... on StartExecutionSuccess { execution { id } } ... on Problem { message } } }`
const ANSWER = `mutation ($id: ID!, $decision: AgentDecision!) {
  answerAgentRequest(input: { id: $id, decision: $decision }) { ... on Problem { message } } }`
const put = (selector, properties) => Object.assign(document.querySelector(selector), properties)
const make = (name, properties) => Object.assign(document.createElement(name), properties)
let session, question, stop

async function start(event) {
  event.preventDefault()
  const { email, password, cost } = Object.fromEntries(new FormData(event.target))
  session ??= await signIn({ url }, { email, password })
  const input = { feature_name: 'Live dashboards', estimated_cost: Number(cost) }
  const { startExecution } = await session.run(START, { input })
  if (!startExecution.execution) throw new Error(startExecution.message)
  stop?.()
  const transport = overWebSocket({ url, token: session.token })
  stop = createFeed({ transport, kind, variables: startExecution.execution }).subscribe(show)
}

function show({ status, problem, ending, view: { execution, events } }) {
  put('#connection', { textContent: [status, problem].filter(Boolean).join(': '), className: status })
  put('#problem', { textContent: ending?.errors[0]?.message ?? '' })
  if (!execution) return
  question = execution.waitingFor?.agentRequest
  put('main', { hidden: false })
  put('#status', { textContent: execution.status, className: execution.status })
  put('#id', { textContent: execution.id })
  put('#progress', { value: execution.progress.finished / execution.progress.total })
  put('#picture', { src: `data:image/svg+xml,${encodeURIComponent(execution.picture)}` })
  put('#question', { hidden: !question })
  put('#question b', { textContent: question?.subject ?? '' })
  document.querySelector('#history').replaceChildren(...events.map(rowOf))
}

function rowOf({ at, type, step, data }) {
  const told = data?.subject ?? data?.route ?? data?.why ?? data?.decision ?? data?.message
  const row = make('li', { className: type.split('.')[1] })
  row.append(...[at.slice(11, 23), type, step, told].map((text) => make('span', { textContent: text ?? '' })))
  return row
}

const answer = ({ target: { value } }) => value && session.run(ANSWER, { id: question.id, decision: value })
put('#start', { onsubmit: start })
put('#question', { onclick: answer })
window.addEventListener('unhandledrejection', ({ reason }) => put('#problem', { textContent: reason.message }))
