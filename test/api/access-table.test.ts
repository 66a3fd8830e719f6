/** Every query, mutation and subscription asked by everybody: the answer is the one that the table says. */
import { createSourceEventStream, graphql, parse } from 'graphql'
import type { ExecutionResult } from 'graphql'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { FeedSource } from '../../src/api/feed.ts'
import { schema } from '../../src/api/schema.ts'
import { encodeId } from '../../src/ids.ts'
import { SCOPES } from '../../src/identity/principal.ts'
import type { Principal, Scope, UserPrincipal } from '../../src/identity/principal.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import { createExecutionLink } from '../../src/operations/executions/create-execution-link.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { grantFlowAccess } from '../../src/operations/flows/grant-flow-access.ts'
import { listAgentRequests } from '../../src/operations/agent-requests/list-agent-requests.ts'
import { LEVELS } from '../../src/operations/permissions.ts'
import type { FlowAction } from '../../src/operations/permissions.ts'
import { setSecret } from '../../src/operations/secrets/set-secret.ts'
import { startExecution } from '../../src/operations/executions/start-execution.ts'
import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'
import { Pulled } from '../harness/pulled-feeds.ts'
import { COLUMNS, TABLE } from './access-table.ts'
import type { Column, Fixture, Row } from './access-table.ts'

const { services, call, person } = await testApi()
const who = {} as Record<Column, Principal | undefined>
let ids: Fixture

beforeAll(async () => {
  const [owner, admin, user] = [await person(), await person('ADMIN'), await person()]
  const steps = { ask: { type: 'agent', role: 'ceo', subject: 'May we?', request: {} } }
  const flow = unwrap(await createFlow(call(owner), { definition: { name: 'asked of', steps } }))
  const { executionId } = unwrap(await startExecution(call(owner), { flow: 'asked of', input: {} }))
  unwrap(await setSecret(call(owner), { name: 'of_the_owner', value: 'k3Jx9-vQ2m7T' }))
  const [request] = await listAgentRequests(call(owner), { executionId }, { limit: 1, descending: true })
  const actions = Object.keys(LEVELS) as FlowAction[]
  const granted = new Map<FlowAction, UserPrincipal>()
  for (const action of actions) granted.set(action, await person())
  const grants = [...granted].map(([action, { handle }]) => ({ to: { user: handle }, action }))
  const triggers = [{ type: 'schedule', name: 'yearly', cron: '@yearly' }]
  const scheduled = unwrap(await createFlow(call(owner), { definition: { name: 'by itself', steps, triggers } }))
  const agents = { to: { agentRole: 'ceo' }, action: 'EXECUTE' } as const
  for (const flowId of [flow.id, scheduled.id])
    unwrap(await grantFlowAccess(call(owner), { flowId, grants: [...grants, agents] }))
  const [schedule] = await services.database.query<{ trigger_id: string }>('select trigger_id from sluice.schedules')
  const key = async (by: UserPrincipal, scopes: readonly Scope[], agentRoles: string[] = []) =>
    unwrap(await createApiKey(call(by), { name: 'a key', scopes, agentRoles }))
  const link = async (may: 'READ' | 'ANSWER') => unwrap(await createExecutionLink(call(owner), { executionId, may }))
  const comesInWith = async (token: string): Promise<Principal> => {
    const checked = await services.identity.authenticate(token)
    if (!checked.ok) throw new Error(checked.reason)
    return checked.principal
  }
  for (const scope of SCOPES) who[scope] = await comesInWith((await key(owner, [scope])).secret)
  Object.assign(who, Object.fromEntries(granted), { anonymous: undefined, viewer: await person('VIEWER'), user, owner, admin })
  who.agent = await comesInWith((await key(admin, SCOPES, ['ceo'])).secret)
  for (const may of ['READ', 'ANSWER'] as const) who[may] = await comesInWith((await link(may)).token)
  ids = {
    flow: encodeId('flow', flow.id),
    execution: encodeId('execution', executionId),
    trigger: encodeId('trigger', schedule!.trigger_id),
    request: encodeId('agentRequest', request!.id),
    user: encodeId('user', (await person()).id),
    key: encodeId('apiKey', (await key(owner, ['FLOWS_READ'])).apiKey.id),
    link: encodeId('executionLink', (await link('READ')).link.id),
  }
})

// a row signs everybody out: the next one is asked by people who are in
beforeEach(() => services.database.query('update sluice.sessions set revoked_at = null'))

const ROOTS = [schema.getQueryType()!, schema.getMutationType()!, schema.getSubscriptionType()!]
const FIELDS = ROOTS.flatMap((root) => Object.keys(root.getFields()).map((field) => `${root.name}.${field}`))

test('every root field has its row, and no other has (C1)', () => {
  expect(Object.keys(TABLE).toSorted()).toEqual(FIELDS.toSorted())
})

test.each(Object.entries(TABLE))('%s is for whom the table says (B4, B9, C1, C2, A2)', async (field, { ask, cells }) => {
  const answered: [Column, string][] = []
  for (const column of COLUMNS) answered.push([column, await answer(field, ask, who[column])])
  const expected = [...cells.replaceAll(' ', '')]
  expect(Object.fromEntries(answered)).toEqual(Object.fromEntries(COLUMNS.map((column, at) => [column, expected[at]])))
})

async function answer(field: string, ask: Row['ask'], principal: Principal | undefined): Promise<string> {
  const [root, name] = field.split('.') as [string, string]
  const source = `${root.toLowerCase()} { ${ask(ids)} }`
  const contextValue = call(principal)
  if (root !== 'Subscription') return signOf(name, await graphql({ schema, source, contextValue }))
  const stream = await createSourceEventStream({ schema, document: parse(source), contextValue })
  return stream instanceof FeedSource ? signOfFeed(stream) : signOf(name, stream as ExecutionResult)
}

/** By what its snapshot lists, if it is a list. */
async function signOfFeed({ feed }: FeedSource<unknown>): Promise<string> {
  const pulled = new Pulled<string>((sink) =>
    feed.follow({ form: 'frames', render: async (frame) => ({ rendered: JSON.stringify(frame), forViewer: false }) }, sink),
  )
  const { executions, requests = executions } = JSON.parse((await pulled.next()).value!)
  await pulled.return()
  return requests?.length === 0 ? '.' : '+'
}

const SIGNS: Record<string, string> = { FORBIDDEN: 'f', UNAUTHENTICATED: 'u', NOT_FOUND: '.' }

function signOf(name: string, { data, errors }: ExecutionResult): string {
  const code = String(errors?.[0]?.extensions['code'])
  if (errors) return SIGNS[code] ?? `${code}: ${errors[0]?.message}`
  const value = data?.[name] as null | unknown[] | { __typename?: string; edges?: unknown[] }
  const items = Array.isArray(value) ? value.filter((item) => item !== null) : value?.edges
  if (value === null || items?.length === 0) return '.'
  return (value as { __typename?: string }).__typename === 'NotFoundProblem' ? '.' : '+'
}
