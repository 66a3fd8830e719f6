/** Sharing flows: grants for people, roles, agents and everyone; un-sharing; giving away; what definitions take away. */
import { expect, test } from 'vitest'
import type { Flow } from '../../src/engine/entities/flow.ts'
import { isProblem } from '../../src/errors.ts'
import { encodeId, newUuid } from '../../src/ids.ts'
import type { Principal, UserPrincipal } from '../../src/identity/principal.ts'
import { answerAgentRequest } from '../../src/operations/agent-requests/answer-agent-request.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { findFlow } from '../../src/operations/flows/find-flow.ts'
import { getExecution } from '../../src/operations/executions/get-execution.ts'
import { grantFlowAccess } from '../../src/operations/flows/grant-flow-access.ts'
import type { GrantFlowAccess } from '../../src/operations/flows/grant-flow-access.ts'
import { listAgentRequests } from '../../src/operations/agent-requests/list-agent-requests.ts'
import { listExecutions } from '../../src/operations/executions/list-executions.ts'
import { listFlows } from '../../src/operations/flows/list-flows.ts'
import { publishFlowVersion } from '../../src/operations/flows/publish-flow-version.ts'
import { readAllowedActions, readFlowGrants } from '../../src/operations/flows/read-flow-access.ts'
import { revokeFlowAccess } from '../../src/operations/flows/revoke-flow-access.ts'
import { startExecution } from '../../src/operations/executions/start-execution.ts'
import { transferFlowOwnership } from '../../src/operations/flows/transfer-flow-ownership.ts'
import { updateFlow } from '../../src/operations/flows/update-flow.ts'
import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'

const { database, services, call, person, audited, engine } = await testApi()
const PAGE = { limit: 100, descending: true }
let number = 0

const asking = (name: string, permissions?: unknown) => ({
  name,
  ...(permissions !== undefined && { permissions }),
  steps: { ask: { type: 'agent', role: 'ceo', subject: 'May we?', request: {} } },
})
const newFlow = async (owner: Principal, permissions?: unknown): Promise<Flow> =>
  unwrap(await createFlow(call(owner), { definition: asking(`flow ${++number}`, permissions) }))
const grant = (by: Principal, flow: Flow, grants: GrantFlowAccess['grants']) =>
  grantFlowAccess(call(by), { flowId: flow.id, grants })
const start = (who: Principal, flow: Flow) => startExecution(call(who), { flow: encodeId('flow', flow.id), input: {} })
const grantsOn = async (owner: Principal, flow: Flow) => (await readFlowGrants(call(owner), [flow.id]))[0]!
async function agent(...agentRoles: string[]): Promise<Principal> {
  const made = unwrap(
    await createApiKey(call(await person('ADMIN')), {
      ...{ name: 'agent', agentRoles, scopes: ['FLOWS_READ', 'EXECUTIONS_WRITE', 'REQUESTS_ANSWER'] },
    }),
  )
  const checked = await services.identity.authenticate(made.secret)
  if (!checked.ok) throw new Error(checked.reason)
  return checked.principal
}

test('many who share at once wait for no connection that they hold themselves', async () => {
  const [owner, other] = [await person(), await person()]
  const flow = await newFlow(owner)
  // more than there are connections
  const shared = await Promise.all(
    Array.from({ length: 12 }, () => grant(owner, flow, [{ to: { user: encodeId('user', other.id) }, action: 'VIEW' }])),
  )
  for (const one of shared) unwrap(one)
  expect(await grantsOn(owner, flow)).toHaveLength(1)
})

test.each([
  ['VIEW', { sees: true, starts: false, edits: false, shares: false }],
  ['EXECUTE', { sees: true, starts: true, edits: false, shares: false }],
  ['EDIT', { sees: true, starts: true, edits: true, shares: false }],
  ['MANAGE', { sees: true, starts: true, edits: true, shares: true }],
] as const)('%s on a flow holds what is below it, and nothing above (B4, C2)', async (action, may) => {
  const [owner, me] = [await person(), await person()]
  const flow = await newFlow(owner)
  expect(await findFlow(call(me), { id: flow.id })).toMatchObject({ problem: 'NOT_FOUND' })
  unwrap(await grant(owner, flow, [{ to: { user: me.handle }, action }]))

  const done = async (work: Promise<unknown>) => {
    const [result] = await Promise.allSettled([work])
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'FORBIDDEN' })
    return result.status === 'fulfilled' && !isProblem(result.value)
  }
  const definition = { ...asking(flow.name), description: 'edited' }
  expect({
    sees: await done(findFlow(call(me), { id: flow.id })),
    starts: await done(start(me, flow)),
    edits: await done(publishFlowVersion(call(me), { flowId: flow.id, definition, expectedVersion: 1 })),
    shares: await done(grant(me, flow, [{ to: { role: 'VIEWER' }, action: 'VIEW' }])),
  }).toEqual(may)
  expect((await readAllowedActions(call(me), [flow.id]))[0]!.at(-1)).toBe(action)
  expect((await listFlows(call(me), {}, PAGE)).map(({ id }) => id)).toContain(flow.id)
  const id = unwrap(await start(owner, flow)).executionId
  expect(isProblem(await getExecution(call(me), id))).toBe(action !== 'MANAGE')
  expect((await listExecutions(call(me), {}, PAGE)).some((execution) => execution.id === id)).toBe(action === 'MANAGE')
})

test('a grant is for a user, a role or everyone; viewers only see, whatever is granted (B4, C2)', async () => {
  const [owner, user, viewer] = [await person(), await person(), await person('VIEWER')]
  for (const to of [{ role: 'USER' as const }, { everyone: true }]) {
    const flow = await newFlow(owner)
    unwrap(await grant(owner, flow, [{ to, action: 'EXECUTE' }]))
    expect(isProblem(await start(user, flow))).toBe(false)
    expect(isProblem(await findFlow(call(viewer), { id: flow.id }))).toBe(!('everyone' in to))
    if ('everyone' in to) await expect(start(viewer, flow)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  }
})

test('un-sharing takes everything back: the flow is not there any more (B4)', async () => {
  const [owner, me] = [await person(), await person()]
  const flow = await newFlow(owner)
  unwrap(await grant(owner, flow, [{ to: { user: me.handle }, action: 'EDIT' }]))
  const [row] = await grantsOn(owner, flow)
  unwrap(await revokeFlowAccess(call(owner), { flowId: flow.id, grantIds: [row!.id] }))
  expect(await findFlow(call(me), { id: flow.id })).toEqual(await findFlow(call(me), { id: newUuid() }))
  expect(await start(me, flow)).toMatchObject({ problem: 'NOT_FOUND' })
  const types = (await audited(owner.id)).map(({ type }) => type)
  expect(types.filter((type) => type.startsWith('flow.')).slice(-2)).toEqual(['flow.shared', 'flow.unshared'])
  const changes = await database.query('select from sluice.auth_changes where subject = $1', [`flow:${flow.id}`])
  expect(changes).toHaveLength(2)
})

test('a list of grants is done whole or not at all; every mistake is told (B4)', async () => {
  const [owner, me] = [await person(), await person()]
  const flow = await newFlow(owner)
  const refused = await grant(owner, flow, [
    { to: { user: me.handle }, action: 'VIEW' },
    { to: { user: 'nobody-of-this-name' }, action: 'VIEW' },
    { to: { agentRole: 'emperor' }, action: 'EXECUTE' },
    { to: { user: me.handle }, action: 'EDIT' },
  ])
  expect(isProblem(refused) && refused.issues!.map(({ code, path }) => [code, ...path.slice(0, 2)])).toEqual([
    ['UNKNOWN_USER', 'grants', '1'],
    ['UNKNOWN_ROLE', 'grants', '2'],
    ['DUPLICATE', 'grants', '3'],
  ])
  expect(await grantsOn(owner, flow)).toEqual([])
})

test('ids of another owner’s things inside one’s own change nothing and tell nothing (B4)', async () => {
  const [me, you] = [await person(), await person()]
  const [mine, yours] = [await newFlow(me), await newFlow(you)]
  unwrap(
    await grant(me, mine, [
      { to: { everyone: true }, action: 'VIEW' },
      { to: { role: 'USER' }, action: 'VIEW' },
    ]),
  )
  unwrap(await grant(you, yours, [{ to: { role: 'ADMIN' }, action: 'VIEW' }]))
  const [own, theirs] = [(await grantsOn(me, mine)).map(({ id }) => id), (await grantsOn(you, yours)).map(({ id }) => id)]
  const nothing = await revokeFlowAccess(call(me), { flowId: mine.id, grantIds: [newUuid()] })
  expect(nothing).toMatchObject({ problem: 'NOT_FOUND', path: ['grantIds'] })
  for (const grantIds of [theirs, [...own, ...theirs], [own[0]!, newUuid()]])
    expect(await revokeFlowAccess(call(me), { flowId: mine.id, grantIds })).toEqual(nothing)
  const noFlow = await revokeFlowAccess(call(me), { flowId: newUuid(), grantIds: own })
  for (const grantIds of [own, theirs]) expect(await revokeFlowAccess(call(me), { flowId: yours.id, grantIds })).toEqual(noFlow)
  expect(await grant(me, yours, [{ to: { user: me.handle }, action: 'MANAGE' }])).toEqual(noFlow)
  expect((await grantsOn(me, mine)).map(({ id }) => id)).toEqual(own)
  expect((await grantsOn(you, yours)).map(({ id }) => id)).toEqual(theirs)
  expect(await readFlowGrants(call(me), [yours.id])).toEqual([null])
})

test('agents are denied unless their role is granted; then they see what it is asked, and answer (A2, C2)', async () => {
  const [owner, ceo, cto] = [await person(), await agent('ceo'), await agent('cto')]
  const flow = await newFlow(owner)
  unwrap(await updateFlow(call(owner), { flowId: flow.id, expectedVersion: 1, visibility: 'PUBLIC' }))
  const { executionId } = unwrap(await start(owner, flow))
  const [ask] = await listAgentRequests(call(owner), { executionId }, PAGE)
  const answer = (who: Principal) => answerAgentRequest(call(who), { id: ask!.id, decision: 'APPROVE' })
  expect(await findFlow(call(ceo), { id: flow.id })).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await answer(ceo)).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await start(ceo, flow)).toMatchObject({ problem: 'NOT_FOUND' })

  unwrap(await grant(owner, flow, [{ to: { agentRole: 'ceo' }, action: 'EXECUTE' }]))
  expect((await listAgentRequests(call(ceo), {}, PAGE)).map(({ id }) => id)).toEqual([ask!.id])
  expect(await listAgentRequests(call(cto), {}, PAGE)).toEqual([])
  expect(await answer(cto)).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await getExecution(call(ceo), executionId)).toMatchObject({ problem: 'NOT_FOUND' })
  expect(unwrap(await answer(ceo)).agentRequest).toMatchObject({ status: 'ANSWERED', answeredBy: ceo.id })
  expect((await audited(ceo.id)).at(-1)).toMatchObject({ type: 'agentRequest.answered', actorKind: 'AGENT' })
  const own = unwrap(await start(ceo, flow)).executionId
  expect(unwrap(await getExecution(call(ceo), own)).initiatorId).toBe(ceo.id)
})

test('`permissions` of a definition only takes away: roles that may start, agents that may answer (C2)', async () => {
  const [owner, admin, ceo] = [await person(), await person('ADMIN'), await agent('ceo')]
  const flow = await newFlow(owner, { roles: ['ADMIN'], agents: [] })
  unwrap(await grant(owner, flow, [{ to: { agentRole: 'ceo' }, action: 'EXECUTE' }]))
  for (const who of [owner, ceo]) await expect(start(who, flow)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const { executionId } = unwrap(await startExecution(call(admin), { flow: `${owner.handle}/${flow.name}`, input: {} }))
  const [ask] = await listAgentRequests(call(ceo), { executionId }, PAGE)
  await expect(answerAgentRequest(call(ceo), { id: ask!.id, decision: 'APPROVE' })).rejects.toMatchObject({ code: 'FORBIDDEN' })
  expect(isProblem(await answerAgentRequest(call(owner), { id: ask!.id, decision: 'APPROVE' }))).toBe(false)
})

test('who edits a flow does not change who may run it (C2)', async () => {
  const [owner, editor] = [await person(), await person()]
  const flow = await newFlow(owner, { roles: ['ADMIN'] })
  unwrap(await grant(owner, flow, [{ to: { user: editor.handle }, action: 'EDIT' }]))
  const publish = (who: UserPrincipal, permissions: unknown) =>
    publishFlowVersion(call(who), { flowId: flow.id, expectedVersion: 1, definition: asking(flow.name, permissions) })
  await expect(publish(editor, { roles: ['USER'] })).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(publish(editor, undefined)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  expect(isProblem(await publish(editor, { roles: ['ADMIN'] }))).toBe(false)
})

test('a flow is given away by its owner; why somebody cannot take it over is not told (B4)', async () => {
  const [owner, heir, manager] = [await person(), await person(), await person()]
  const flow = await newFlow(owner)
  unwrap(
    await grant(owner, flow, [
      { to: { user: manager.handle }, action: 'MANAGE' },
      { to: { user: heir.handle }, action: 'VIEW' },
    ]),
  )
  const give = (who: Principal, to: string) => transferFlowOwnership(call(who), { flowId: flow.id, to, expectedVersion: 1 })
  await expect(give(manager, manager.handle)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const refused = await give(owner, 'nobody-of-this-name')
  expect(refused).toMatchObject({ problem: 'VALIDATION', issues: [{ code: 'CANNOT_RECEIVE' }] })
  expect(await give(owner, (await person('VIEWER')).handle)).toEqual(refused)
  const taken = await person()
  unwrap(await createFlow(call(taken), { definition: asking(flow.name) }))
  expect(await give(owner, taken.handle)).toEqual(refused)
  unwrap(await give(owner, heir.handle))
  expect(await findFlow(call(owner), { id: flow.id })).toMatchObject({ problem: 'NOT_FOUND' })
  expect(unwrap(await findFlow(call(heir), { id: flow.id }))).toMatchObject({ ownerId: heir.id, level: 5 })
  expect((await grantsOn(heir, flow)).map(({ userId }) => userId)).toEqual([manager.id])
})

test('a start that waited begins with the rights of now: without them it fails, says so, and is audited (C1, C2)', async () => {
  const [owner, me] = [await person(), await person()]
  const flow = await newFlow(owner)
  unwrap(await grant(owner, flow, [{ to: { user: me.handle }, action: 'EXECUTE' }]))
  const later = async (who: Principal) => {
    const startAt = new Date(database.clock.now() + 3_000)
    return unwrap(await startExecution(call(who), { flow: encodeId('flow', flow.id), input: {}, startAt })).executionId
  }
  const [lost, kept] = [await later(me), await later(owner)]
  unwrap(await revokeFlowAccess(call(owner), { flowId: flow.id, grantIds: (await grantsOn(owner, flow)).map(({ id }) => id) }))
  await engine.ended(lost, 20_000)
  const failed = unwrap(await getExecution(call(me), lost))
  expect(failed).toMatchObject({ status: 'FAILED', startedAt: null, error: { code: 'NOT_ALLOWED' } })
  expect((await audited(me.id)).at(-1)).toMatchObject({ type: 'execution.startRefused', executionId: lost, success: false })
  await expect.poll(async () => unwrap(await getExecution(call(owner), kept)).status, { timeout: 20_000 }).toBe('WAITING')
}, 60_000)
