/** Who lives on the server under attack: a victim with things of their own, an attacker with an account, a viewer, an administrator. */
import { randomBytes } from 'node:crypto'
import type { IdKind } from '../src/ids.ts'
import { signatureOf } from '../src/triggers/webhooks/signature.ts'
import { createClient } from './client.ts'
import type { Client } from './client.ts'
import type { Outside } from './outside.ts'
import { ADMIN_EMAIL } from './server.ts'
import type { Target } from './server.ts'

export interface Person {
  readonly id: string
  readonly handle: string
  readonly email: string
  readonly password: string
  readonly token: string
  readonly refreshToken: string
}

export interface World {
  readonly target: Target
  readonly client: Client
  readonly admin: Person
  readonly victim: Person
  readonly attacker: Person
  readonly viewer: Person
  /** what its steps may and may not call */
  readonly outside: Outside
  /** a flow of the attacker's own, and an execution of it that waits */
  readonly own: { flowId: string; executionId: string }
  /** what belongs to the victim alone, by kind */
  readonly things: Readonly<Partial<Record<IdKind, string>>>
  /** texts that only the victim, and for some things an administrator, may ever be shown */
  readonly secrets: readonly string[]
}

/** Waits for an answer that nobody gives. */
export const waitingFlow = (name: string, description = 'A plan.') => ({
  version: 1,
  name,
  description,
  input: { type: 'object' },
  steps: {
    ask: { type: 'agent', role: 'ceo', subject: 'A question', request: { said: '${{ input.said }}' }, timeout: 'PT600S' },
  },
})

export async function populate(target: Target, outside: Outside): Promise<World> {
  const client = createClient(target)
  const signIn = async (email: string, password: string): Promise<Person> => {
    const { viewer, ...tokens } = await client.mutate(
      undefined,
      'signIn',
      { email, password },
      'accessToken refreshToken viewer { user { id } handle }',
    )
    return {
      id: viewer.user.id,
      handle: viewer.handle,
      email,
      password,
      token: tokens.accessToken,
      refreshToken: tokens.refreshToken,
    }
  }
  const admin = await signIn(ADMIN_EMAIL, target.adminPassword)
  const person = async (handle: string, role: string): Promise<Person> => {
    const email = `${handle}@attack.example`
    const password = newPassword()
    done(await client.mutate(admin.token, 'createUser', { email, handle, name: handle, password, role }))
    return signIn(email, password)
  }
  const [victim, attacker, viewer] = [
    await person('victim', 'USER'),
    await person('attacker', 'USER'),
    await person('watcher', 'VIEWER'),
  ]

  const secret = (): string => `planted-${randomBytes(12).toString('hex')}`
  const secrets = [secret(), secret(), secret()]
  const stored = done(await client.mutate(victim.token, 'setSecret', { name: 'mine', value: secrets[2] }, 'secret { id }'))
  const plan = waitingFlow(`plan_${randomBytes(4).toString('hex')}`, secrets[0])
  const hooked = { ...plan, triggers: [{ type: 'webhook', name: 'hook', secret: 'mine' }] }
  const made = await start(client, victim, hooked, { said: secrets[1] })
  const asked = await client.send(
    `query ($id: ID!) { execution(id: $id) { flow { triggers { id webhookPath } } flowVersion { id } } agentRequests(first: 5, filter: { execution: $id }) { edges { node { id } } } viewer { sessions(first: 5) { edges { node { id } } } } }`,
    { token: victim.token, variables: { id: made.executionId } },
  )
  const key = done(
    await client.mutate(victim.token, 'createApiKey', { name: 'mine', scopes: ['FLOWS_READ'] }, 'apiKey { id } secret'),
  )
  const link = done(
    await client.mutate(victim.token, 'createExecutionLink', { executionId: made.executionId, may: 'READ' }, 'link { id } token'),
  )
  const [hook] = asked.data?.execution?.flow?.triggers ?? []
  const things: Partial<Record<IdKind, string>> = {
    flow: made.flowId,
    execution: made.executionId,
    flowVersion: asked.data?.execution?.flowVersion?.id,
    agentRequest: asked.data?.agentRequests?.edges[0]?.node.id,
    session: asked.data?.viewer?.sessions?.edges[0]?.node.id,
    apiKey: key.apiKey.id,
    executionLink: link.link.id,
    secret: stored.secret.id,
    trigger: hook?.id,
    webhookDelivery: await deliver(`${target.url}${hook?.webhookPath}`, secrets[2]!),
    user: victim.id,
  }
  for (const [kind, id] of Object.entries(things)) if (!id) throw new Error(`the victim has no ${kind}`)
  const own = await start(client, attacker, waitingFlow('mine'), { said: 'mine' })
  return {
    ...{ target, client, outside, admin, victim, attacker, viewer, own },
    things,
    secrets: [...secrets, key.secret, link.token, victim.password, victim.token, victim.refreshToken],
  }
}

/** Sends what the victim's webhook takes; the delivery's id. */
async function deliver(url: string, secret: string): Promise<string> {
  const body = '{"said":"by a webhook"}'
  const headers = { 'content-type': 'application/json', 'sluice-signature': signatureOf(body, secret, Date.now()) }
  const response = await fetch(url, { method: 'POST', headers, body })
  return ((await response.json()) as { id: string }).id
}

export const newPassword = (): string => `Aa1-${randomBytes(18).toString('base64url')}`

/** Makes a flow and starts it; it waits when this returns. */
export async function start(
  client: Client,
  { token }: Person,
  definition: { name: string },
  input: object,
): Promise<{ flowId: string; executionId: string }> {
  const { flow } = done(await client.mutate(token, 'createFlow', { definition }, 'flow { id }'))
  const { execution } = done(
    await client.mutate(token, 'startExecution', { flow: definition.name, input, waitMs: 5_000 }, 'execution { id status }'),
  )
  return { flowId: flow.id, executionId: execution.id }
}

// oxlint-disable-next-line no-explicit-any
function done(result: any): any {
  if (!String(result?.__typename).endsWith('Success')) throw new Error(`the world could not be made: ${JSON.stringify(result)}`)
  return result
}
