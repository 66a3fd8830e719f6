/** Brings a server into all the states that are kept of a release, through its API alone: a release of any age can be filled so. */
import { createHmac } from 'node:crypto'
import { ask, FEEDS, follow } from './client.ts'
import type { FeedName } from './client.ts'
import { KEPT_DELIVERY, KEPT_FLOWS, KEPT_PASSWORD, KEPT_SECRETS } from './flows.ts'
import type { KeptClients } from './kept-release.ts'

export const ADMIN_EMAIL = 'admin@sluice.local'
const ANN = { email: 'ann@sluice.local', handle: 'ann', name: 'Ann', password: KEPT_PASSWORD, role: 'USER' }

const SIGN_IN = `mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken refreshToken } } }`
const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename
  ... on CreateFlowSuccess { flow { id triggers { webhookPath } } } ... on ValidationProblem { issues { path code message } } } }`
const START = `mutation ($flow: String!, $key: String!) { startExecution(input: { flow: $flow, input: {}, idempotencyKey: $key }) {
  ... on StartExecutionSuccess { execution { id } } } }`
const PAUSE = 'mutation ($id: ID!) { pauseExecution(input: { id: $id, reason: "kept" }) { __typename } }'
const STATUS = 'query ($id: ID!) { execution(id: $id) { status } }'
const SECRET = 'mutation ($input: SetSecretInput!) { setSecret(input: $input) { __typename } }'
const KEY = 'mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { ... on CreateApiKeySuccess { secret } } }'
const USER = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { __typename } }'
const GRANT = 'mutation ($input: GrantFlowAccessInput!) { grantFlowAccess(input: $input) { __typename } }'
/** For the statements that it sends. */
const READ = `{ flows(first: 5) { edges { node { id name } } } auditEvents(first: 5) { edges { node { id } } } agentRequests(first: 5) { edges { node { id } } }
  executions(first: 5) { edges { node { id status steps { path status } events { seq type } state output } } } auditVerification { intact } }`

export interface Filled {
  /** ids of executions by flow */
  started: Record<string, string[]>
  clients: Omit<KeptClients, 'epoch'>
}

export async function fill(url: string): Promise<Filled> {
  const token = (await ask(url, undefined, SIGN_IN, { input: { email: ADMIN_EMAIL, password: KEPT_PASSWORD } })).signIn
    .accessToken
  const asked = (text: string, variables: object = {}) => ask(url, token, text, variables)
  for (const [name, value] of Object.entries(KEPT_SECRETS)) await asked(SECRET, { input: { name, value } })
  const { agentKey, ...anns } = await keysOf(url, token)

  const started: Record<string, string[]> = {}
  const start = async (flow: string): Promise<string> => {
    const ids = (started[flow] ??= [])
    const { startExecution } = await asked(START, { flow, key: `${flow}-${ids.length}` })
    ids.push(startExecution.execution.id)
    return startExecution.execution.id
  }
  for (const [name, { definition, grants }] of Object.entries(KEPT_FLOWS)) {
    const { createFlow } = await asked(CREATE, { definition: { name, timeout: 'P3650D', ...definition } })
    if (createFlow.__typename !== 'CreateFlowSuccess') throw new Error(`${name}: ${JSON.stringify(createFlow)}`)
    if (grants) await asked(GRANT, { input: { flowId: createFlow.flow.id, grants } })
    for (const { webhookPath } of createFlow.flow.triggers) if (webhookPath !== null) await deliver(`${url}${webhookPath}`)
  }
  for (const [name, { times = 1, kept }] of Object.entries(KEPT_FLOWS)) {
    for (let time = 0; time < times; time++) {
      const id = await start(name)
      if (kept === 'PAUSED') await asked(PAUSE, { id })
    }
  }
  for (const [name, [id]] of Object.entries(started))
    await until(name, async () => (await asked(STATUS, { id })).execution.status)
  await asked(READ)
  const cursors = await cursorsOf(url, token, started['signals']![0]!)
  // after the cursors
  await start('ended')
  return { started, clients: { ...anns, agentKey, ...cursors } }
}

async function keysOf(url: string, admin: string): Promise<Pick<KeptClients, 'refreshToken' | 'apiKey' | 'agentKey'>> {
  await ask(url, admin, USER, { input: ANN })
  const { signIn } = await ask(url, undefined, SIGN_IN, { input: { email: ANN.email, password: ANN.password } })
  const key = async (token: string, input: object): Promise<string> => (await ask(url, token, KEY, { input })).createApiKey.secret
  return {
    refreshToken: signIn.refreshToken,
    apiKey: await key(signIn.accessToken, { name: 'of ann', lifetime: 'P366D', scopes: ['EXECUTIONS_READ', 'FLOWS_READ'] }),
    agentKey: await key(admin, {
      ...{ name: 'of an agent', lifetime: 'P366D', agentRoles: ['ceo'], scopes: ['REQUESTS_READ', 'REQUESTS_ANSWER'] },
    }),
  }
}

async function deliver(to: string): Promise<void> {
  const body = JSON.stringify(KEPT_DELIVERY)
  const time = Math.floor(Date.now() / 1000)
  const signature = createHmac('sha256', KEPT_SECRETS.shop_webhook).update(`${time}.${body}`).digest('hex')
  const headers = { 'content-type': 'application/json', 'sluice-signature': `t=${time},v1=${signature}` }
  const answer = await fetch(to, { method: 'POST', headers, body })
  if (answer.status !== 202) throw new Error(`the webhook answered ${answer.status}: ${await answer.text()}`)
}

async function cursorsOf(url: string, token: string, id: string): Promise<Pick<KeptClients, 'cursors' | 'lastSeq'>> {
  const cursors: Partial<KeptClients['cursors']> = {}
  let lastSeq = 0
  for (const feed of Object.keys(FEEDS) as FeedName[]) {
    for await (const frame of follow(url, token, feed, { id })) {
      cursors[feed] = frame.cursor
      lastSeq = frame.execution?.lastSeq ?? lastSeq
      break
    }
  }
  return { cursors: cursors as KeptClients['cursors'], lastSeq }
}

async function until(name: string, status: () => Promise<string>): Promise<void> {
  const { kept } = KEPT_FLOWS[name]!
  const end = performance.now() + 30_000
  for (let now = await status(); now !== kept; now = await status()) {
    if (performance.now() > end) throw new Error(`${name} is ${now}, not ${kept}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
