/**
 * The tour (`npm run tour`, beside a running server): signs in, starts `feature_approval`, watches it over WebSocket, answers for the
 * ceo, reads the history. `SLUICE_URL` and `SLUICE_ADMIN_PASSWORD` lead it to a server elsewhere.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from 'graphql-ws'

const { env } = process
const url = env['SLUICE_URL'] ?? `http://127.0.0.1:${env['PORT'] ?? '4000'}/graphql`
const password =
  env['SLUICE_ADMIN_PASSWORD'] ?? readFileSync(join(env['SLUICE_DATA_DIR'] ?? '.sluice', 'admin-password'), 'utf8').trim()

interface Step {
  seq: number
  type: string
  step: string | null
}
interface Frame {
  __typename: string
  events?: Step[]
  execution?: { status: string; currentSteps: string[]; output: unknown }
}

const headers: Record<string, string> = { 'content-type': 'application/json' }
const { signIn } = await ask<{ signIn: { accessToken?: string; message?: string } }>(
  `mutation ($password: String!) {
    signIn(input: { email: "admin@sluice.local", password: $password }) {
      ... on SignInSuccess { accessToken }
      ... on Problem { message }
    }
  }`,
  { password },
)
headers['authorization'] = `Bearer ${signIn.accessToken ?? fail(signIn.message)}`
say('signed in as admin@sluice.local')

const { startExecution } = await ask<{ startExecution: { execution?: { id: string; status: string }; message?: string } }>(
  `mutation ($input: JSON!) {
    startExecution(input: { flow: "feature_approval", input: $input }) {
      ... on StartExecutionSuccess { execution { id status } }
      ... on Problem { message }
    }
  }`,
  { input: { feature_name: 'Live dashboards', estimated_cost: 2_000_000, complexity: 5 } },
)
const { id, status } = startExecution.execution ?? fail(startExecution.message)
say(`started ${id}: ${status}`)

const feed = createClient({ url: url.replace(/^http/, 'ws'), connectionParams: { authorization: headers['authorization'] } })
const frames = feed.iterate<{ executionFeed: Frame }>({
  query: `subscription ($id: ID!) {
    executionFeed(id: $id) {
      __typename
      ... on FeedSnapshot { execution { status currentSteps output } }
      ... on FeedDelta { events { seq type step } }
      ... on FeedEnd { execution { status currentSteps output } }
    }
  }`,
  variables: { id },
})
for await (const { data, errors } of frames) {
  const frame = data?.executionFeed ?? fail(errors?.[0]?.message)
  if (frame.__typename === 'FeedSnapshot') {
    say(`watching: ${frame.execution?.status}, at ${frame.execution?.currentSteps.join(', ')}`)
    await answerTheRequest()
  }
  for (const event of frame.events ?? []) say(`  live: ${describe(event)}`)
  if (frame.__typename === 'FeedEnd') say(`ended: ${frame.execution?.status} ${JSON.stringify(frame.execution?.output)}`)
}
await feed.dispose()

const { execution } = await ask<{ execution: { events: Step[] } }>(
  'query ($id: ID!) { execution(id: $id) { events { seq type step } } }',
  { id },
)
say(`its history has ${execution.events.length} events:`)
for (const event of execution.events) say(`  ${describe(event)}`)

/** The execution asks the ceo; we approve. */
async function answerTheRequest(): Promise<void> {
  const { execution: asking } = await ask<{
    execution: { waitingFor: { agentRequest: { id: string; role: string; subject: string } } | null }
  }>('query ($id: ID!) { execution(id: $id) { waitingFor { agentRequest { id role subject } } } }', { id })
  const request = asking.waitingFor?.agentRequest ?? fail('nobody is asked')
  say(`the ${request.role} is asked: "${request.subject}"`)
  const { answerAgentRequest } = await ask<{ answerAgentRequest: { message?: string } }>(
    `mutation ($id: ID!) {
      answerAgentRequest(input: { id: $id, decision: APPROVE, data: { comment: "Go." } }) { ... on Problem { message } }
    }`,
    { id: request.id },
  )
  if (answerAgentRequest.message !== undefined) fail(answerAgentRequest.message)
  say('answered: APPROVE')
}

async function ask<Data>(query: string, variables: Record<string, unknown>): Promise<Data> {
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  const { data, errors } = (await response.json()) as { data?: Data; errors?: { message: string }[] }
  return data ?? fail(errors?.[0]?.message)
}

function describe({ seq, type, step }: Step): string {
  return [String(seq).padStart(2), type, step].filter(Boolean).join(' ')
}

function say(line: string): void {
  console.log(line)
}

function fail(message = 'no answer'): never {
  throw new Error(message)
}
