/** Triggers through the API: what lives on from version to version, who may publish them, and as whom they start. */
import { expect, test } from 'vitest'
import type { Principal } from '../../src/identity/principal.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { createApiKey } from '../../src/operations/create-api-key.ts'
import { createStartByTrigger } from '../../src/operations/start-by-trigger.ts'
import type { StartByTrigger, TriggeredStart } from '../../src/triggers/start-by-trigger.ts'
import { as, testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'

const { person, run, engine, call, audited, services, database } = await testApi()
const startByTrigger: StartByTrigger = createStartByTrigger(() => services)
let number = 0

const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
  __typename ... on CreateFlowSuccess { flow { id name version } } ... on ValidationProblem { issues { code path } } } }`
const PUBLISH = `mutation ($input: PublishFlowVersionInput!) { publishFlowVersion(input: $input) {
  __typename ... on PublishFlowVersionSuccess { flow { version } } ... on ValidationProblem { issues { code path } } } }`
const TRIGGERS = `query ($id: ID!) { flow(id: $id) {
  triggers { id name type definition publishedBy { id } createdAt changedAt flow { id } } } }`
const WATCH = `query ($id: ID!) { execution(id: $id) { status output trigger { id type name } } }`

const ECHO = {
  input: { type: 'object', properties: { word: { type: 'string' } }, required: ['word'] },
  steps: { say: { type: 'transform', set: { word: '${{ input.word }}' } } },
  output: { word: '${{ steps.say.output.word }}' },
}
const pattern = (name: string, more: object = {}): object => ({
  ...{ type: 'pattern', name, pattern: '^say (?P<word>\\w+)', kind: 'infrastructure' },
  ...more,
})

async function createFlow(owner: Principal, triggers: object[], more: object = {}) {
  const definition = { name: `triggers ${++number}`, ...ECHO, triggers, ...more }
  const { flow } = as('CreateFlowSuccess', (await run(owner, CREATE, { definition })).data.createFlow)
  return { id: flow.id as string, definition }
}
const publish = (who: Principal, flowId: string, definition: object, expectedVersion: number) =>
  run(who, PUBLISH, { input: { flowId, definition, expectedVersion } })
const triggersOf = async (who: Principal, id: string) => (await run(who, TRIGGERS, { id })).data.flow.triggers

test('a trigger is the same while its flow has one of its name and type; whoever changed it last published it', async () => {
  const [owner, other] = [await person(), await person()]
  const { id, definition } = await createFlow(owner, [pattern('stays'), pattern('changes'), pattern('goes')])
  const before = await triggersOf(owner, id)
  expect(before.map(({ name, type }: Record<string, unknown>) => [name, type])).toEqual([
    ['changes', 'PATTERN'],
    ['goes', 'PATTERN'],
    ['stays', 'PATTERN'],
  ])
  const shared = `mutation ($input: GrantFlowAccessInput!) { grantFlowAccess(input: $input) { __typename } }`
  await run(owner, shared, { input: { flowId: id, grants: [{ to: { user: other.handle }, action: 'MANAGE' }] } })
  const triggers = [pattern('comes'), pattern('changes', { priority: 5 }), pattern('stays')]
  const { data } = await publish(other, id, { ...definition, triggers }, 1)
  expect(data.publishFlowVersion).toMatchObject({ flow: { version: 2 } })
  const after = await triggersOf(owner, id)
  expect(after.map(({ name }: { name: string }) => name)).toEqual(['changes', 'comes', 'stays'])
  expect([after[0].id, after[2].id]).toEqual([before[0].id, before[2].id])
  expect(after[0].definition).toEqual(pattern('changes', { priority: 5 }))
  expect(after.map(({ publishedBy }: { publishedBy: { id: string } }) => decodeId('user', publishedBy.id))).toEqual([
    ...[other.id, other.id, owner.id],
  ])
  expect(after[2]).toEqual(before[2])
  // one of the name that went comes again: another one
  await publish(owner, id, { ...definition, triggers: [pattern('goes')] }, 2)
  const [again] = await triggersOf(owner, id)
  expect(again.id).not.toBe(before[1].id)
})

test('who may only edit publishes no other triggers, nor does a key that starts nothing', async () => {
  const [owner, editor] = [await person(), await person()]
  const { id, definition } = await createFlow(owner, [pattern('one')])
  const shared = `mutation ($input: GrantFlowAccessInput!) { grantFlowAccess(input: $input) { __typename } }`
  await run(owner, shared, { input: { flowId: id, grants: [{ to: { user: editor.handle }, action: 'EDIT' }] } })
  const changed = { ...definition, triggers: [pattern('two')] }
  expect((await publish(editor, id, changed, 1)).codes).toEqual(['FORBIDDEN'])
  expect((await publish(editor, id, { ...definition, description: 'edited' }, 1)).codes).toEqual([])
  const made = unwrap(await createApiKey(call(owner), { name: 'writes', scopes: ['FLOWS_WRITE'] }))
  const checked = await services.identity.authenticate(made.secret)
  if (!checked.ok) throw new Error(checked.reason)
  expect((await publish(checked.principal, id, changed, 2)).codes).toEqual(['FORBIDDEN'])
  const own = { ...definition, name: 'of a key' }
  expect((await run(checked.principal, CREATE, { definition: own })).codes).toEqual(['FORBIDDEN'])
  expect((await triggersOf(owner, id)).map(({ name }: { name: string }) => name)).toEqual(['one'])
})

async function firingOf(id: string, firing: string, input: object = { word: 'hello' }): Promise<TriggeredStart> {
  const [trigger] = await database.query<TriggeredStart['trigger']>(
    `select id, type, name, flow_id as "flowId", published_by as "publishedBy" from sluice.triggers
     where flow_id = $1 and removed_at is null`,
    [decodeId('flow', id)],
  )
  return { trigger: trigger!, input, firing }
}

test('a firing starts once, as whoever published the trigger, and the execution tells what started it (C1)', async () => {
  const [owner, stranger] = [await person(), await person()]
  const { id } = await createFlow(owner, [pattern('one')])
  const firing = await firingOf(id, '2026-11-22')
  const results = await Promise.all([startByTrigger(firing), startByTrigger(firing), startByTrigger(firing)])
  const ids = new Set(results.map((result) => result.ok && result.executionId))
  expect([ids.size, results.filter((result) => result.ok && !result.replayed).length]).toEqual([1, 1])
  const [executionId] = ids as Set<string>
  await engine.ended(executionId!, 10_000)
  const [trigger] = await triggersOf(owner, id)
  const shown = (await run(owner, WATCH, { id: encodeId('execution', executionId!) })).data
  expect(shown.execution).toEqual({
    status: 'SUCCEEDED',
    output: { word: 'hello' },
    trigger: { id: trigger.id, type: 'PATTERN', name: 'one' },
  })
  const started = (await audited(owner.id)).filter(({ type }) => type === 'execution.started')
  expect(started).toMatchObject([{ executionId, metadata: { trigger: { type: 'pattern', name: 'one' } } }])
  expect(await startByTrigger({ ...firing, input: { word: 5 } })).toMatchObject({ ok: false, code: 'VALIDATION' })
  expect(await startByTrigger({ ...firing, input: { word: 'bye' } })).toMatchObject({ ok: false, code: 'IDEMPOTENCY_MISMATCH' })
  expect(await run(stranger, TRIGGERS, { id })).toMatchObject({ data: { flow: null } })
})

test('whoever published a trigger and may not start the flow any more starts nothing by it (C1, C2)', async () => {
  const [owner, publisher] = [await person(), await person()]
  const { id, definition } = await createFlow(owner, [])
  const shared = `mutation ($input: GrantFlowAccessInput!) { grantFlowAccess(input: $input) { __typename } }`
  await run(owner, shared, { input: { flowId: id, grants: [{ to: { user: publisher.handle }, action: 'MANAGE' }] } })
  await publish(publisher, id, { ...definition, triggers: [pattern('theirs')] }, 1)
  expect(await startByTrigger(await firingOf(id, 'first'))).toMatchObject({ ok: true })
  const narrowed = { ...definition, triggers: [pattern('theirs')], permissions: { roles: ['ADMIN'] } }
  await publish(owner, id, narrowed, 2)
  expect(await startByTrigger(await firingOf(id, 'second'))).toMatchObject({ ok: false, code: 'NOT_ALLOWED' })
  await publish(owner, id, { ...definition, triggers: [pattern('theirs')] }, 3)
  expect(await startByTrigger(await firingOf(id, 'third'))).toMatchObject({ ok: true })
  await database.query('update sluice.users set disabled_at = now() where id = $1', [publisher.id])
  expect(await startByTrigger(await firingOf(id, 'fourth'))).toMatchObject({ ok: false, code: 'NOT_ALLOWED' })
})
