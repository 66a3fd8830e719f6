/** Triggers through the API: what lives on from version to version, who may publish them, and as whom they start. */
import { expect, test } from 'vitest'
import type { Principal } from '../../src/identity/principal.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import { createStartByTrigger } from '../../src/operations/triggers/start-by-trigger.ts'
import { createPatternIndex } from '../../src/triggers/patterns/pattern-index.ts'
import type { StartByTrigger, TriggeredStart } from '../../src/triggers/start-by-trigger.ts'
import { age, superuserOf } from '../harness/age.ts'
import { as, testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'

const { person, run, engine, call, audited, services, triggers, database } = await testApi()
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
const SHARE = `mutation ($input: GrantFlowAccessInput!) { grantFlowAccess(input: $input) { __typename } }`
const share = (owner: Principal, flowId: string, { handle }: { handle: string }, action: string) =>
  run(owner, SHARE, { input: { flowId, grants: [{ to: { user: handle }, action }] } })
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
  await share(owner, id, other, 'MANAGE')
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
  await share(owner, id, editor, 'EDIT')
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
  await share(owner, id, publisher, 'MANAGE')
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

const DISPATCH = `mutation ($input: DispatchInput!) { dispatch(input: $input) {
  __typename
  ... on DispatchSuccess {
    execution { id status input output trigger { name type } } match { name kind priority cost length groups flow { id } trigger { id } }
    replayed cached tokens durationMs }
  ... on Problem { code message }
  ... on ValidationProblem { issues { code path message } } } }`
const MATCHES = `query ($text: String!, $mode: DispatchMode!) { matchPatterns(text: $text, mode: $mode) { name groups } }`
const STATISTICS = `query ($id: ID!) { flow(id: $id) { triggers { name statistics {
  executions succeeded successRate p50Ms p95Ms answers cached hitRate tokens } } } }`
const dispatch = async (who: Principal, input: object) => (await run(who, DISPATCH, { input })).data.dispatch
const namesOf = async (who: Principal, text: string, mode = 'BALANCED'): Promise<string[]> =>
  (await run(who, MATCHES, { text, mode })).data.matchPatterns.map(({ name }: { name: string }) => name)
const word = (): string => `word${++number}`

test('dispatch runs the best match: by priority, then the longest match, then the name; its named groups are the input (C11)', async () => {
  const owner = await person()
  const { id } = await createFlow(owner, [
    pattern('short', { pattern: 'pick (?P<word>\\w)' }),
    pattern('zeta', { pattern: 'pick (?P<word>\\w+)' }),
    pattern('alpha', { pattern: '(?i)PICK (?P<word>\\w+)', cost: 7 }),
    pattern('urgent', { pattern: 'pick (?P<word>now)', priority: 3 }),
    pattern('other', { pattern: 'never' }),
  ])
  expect(await namesOf(owner, 'please pick now')).toEqual(['urgent', 'alpha', 'zeta', 'short'])
  const taken = await dispatch(owner, { text: 'please pick apples', waitMs: 10_000 })
  expect(taken).toMatchObject({
    execution: { status: 'SUCCEEDED', input: { word: 'apples' }, output: { word: 'apples' }, trigger: { name: 'alpha' } },
    match: { name: 'alpha', kind: 'INFRASTRUCTURE', cost: 7, length: 11, groups: { word: 'apples' }, flow: { id } },
    ...{ replayed: false, cached: false, tokens: 7, durationMs: expect.any(Number) },
  })
  expect(await dispatch(owner, { text: 'something else' })).toMatchObject({ code: 'NOT_FOUND' })
  expect(await dispatch(owner, { text: 'x'.repeat(4_001) })).toMatchObject({ issues: [{ path: ['text'] }] })
})

test('a pattern is found as soon as it is published, and not when it is gone', async () => {
  const owner = await person()
  const { id, definition } = await createFlow(owner, [pattern('old', { pattern: 'fresh (?P<word>\\w+)' })])
  expect(await namesOf(owner, 'fresh bread')).toEqual(['old'])
  await publish(owner, id, { ...definition, triggers: [pattern('new', { pattern: 'fresh (?P<word>\\w+)' })] }, 1)
  expect(await namesOf(owner, 'fresh bread')).toEqual(['new'])
  await publish(owner, id, { ...definition, triggers: [] }, 2)
  expect(await namesOf(owner, 'fresh bread')).toEqual([])
})

test('another process reads what was published when it is told, and what was removed', async () => {
  const owner = await person()
  const elsewhere = createPatternIndex(database, createLog('silent'))
  const nameOf = async (text: string) => (await elsewhere.candidates(text)).map(({ definition }) => definition.name)
  const { id, definition } = await createFlow(owner, [pattern('before', { pattern: 'afar (?P<word>\\w+)' })])
  expect(await nameOf('afar x')).toEqual(['before'])
  await publish(owner, id, { ...definition, triggers: [pattern('after', { pattern: 'afar (?P<word>\\w+)' })] }, 1)
  // it does not know yet; what is matched is looked for again before it starts
  expect(await nameOf('afar x')).toEqual(['before'])
  elsewhere.changed()
  expect(await nameOf('afar x')).toEqual(['after'])
})

test('the mode says what an answer may cost (C11)', async () => {
  const owner = await person()
  await createFlow(owner, [
    pattern('there', { pattern: 'modes (?P<word>.+)' }),
    pattern('asked', { pattern: 'modes (?P<word>.+)', kind: 'agent', cost: 1_000_000 }),
    pattern('cheap', { pattern: 'modes (?P<word>.+)', kind: 'hybrid', cost: 1_000 }),
    pattern('dear', { pattern: 'modes (?P<word>.+)', kind: 'hybrid', cost: 1_001 }),
  ])
  expect(await namesOf(owner, 'modes x', 'FAST')).toEqual(['there'])
  expect(await namesOf(owner, 'modes x', 'BALANCED')).toEqual(['asked', 'cheap', 'there'])
  expect(await namesOf(owner, 'modes x', 'COMPREHENSIVE')).toEqual(['asked', 'cheap', 'dear', 'there'])
})

test('only what the caller may run is matched: the grants of the flow, and what its definition takes away (C1, C2, C11)', async () => {
  const [owner, friend, stranger] = [await person(), await person(), await person()]
  const { id } = await createFlow(owner, [pattern('mine', { pattern: 'whose (?P<word>\\w+)', priority: 9 })])
  const narrowed = { permissions: { roles: ['ADMIN'] } }
  const closed = await createFlow(owner, [pattern('admins', { pattern: 'whose (?P<word>\\w+)', priority: 10 })], narrowed)
  await createFlow(stranger, [pattern('theirs', { pattern: 'whose' })])
  for (const flowId of [id, closed.id]) await share(owner, flowId, friend, 'EXECUTE')
  expect(await namesOf(owner, 'whose turn')).toEqual(['mine'])
  expect(await namesOf(friend, 'whose turn')).toEqual(['mine'])
  expect(await namesOf(stranger, 'whose turn')).toEqual(['theirs'])
  expect((await run(undefined, MATCHES, { text: 'whose turn', mode: 'FAST' })).codes).toEqual(['UNAUTHENTICATED'])
})

test('nobody takes what others ask their own flows, however urgent they call a flow that they share with everybody', async () => {
  const [owner, stranger, admin] = [await person(), await person(), await person('ADMIN')]
  const all = { pattern: '(?s)(?P<word>.*lure.*)', priority: 100 }
  const lure = await createFlow(stranger, [pattern('lure', all)])
  const publicly = `mutation ($id: ID!) { updateFlow(input: { flowId: $id, expectedVersion: 1, visibility: PUBLIC }) { __typename } }`
  await run(stranger, publicly, { id: lure.id })
  expect(await namesOf(owner, 'lure me')).toEqual(['lure'])
  const offered = await createFlow(admin, [pattern('offered', { pattern: 'lure (?P<word>me)' })])
  await run(admin, publicly, { id: offered.id })
  await createFlow(owner, [pattern('own', { pattern: 'lure (?P<word>\\w)', priority: -5 })])
  expect(await namesOf(owner, 'lure me')).toEqual(['offered', 'own', 'lure'])
  expect(await dispatch(owner, { text: 'lure me' })).toMatchObject({ match: { name: 'offered' } })
})

test('a pattern with a template makes the input of it; what does not fit the flow is refused', async () => {
  const owner = await person()
  const input = { word: '${{ match.n }} of ${{ text }}' }
  await createFlow(owner, [
    pattern('templated', { pattern: 'count (?P<n>\\d+)', input }),
    pattern('wrong', { pattern: 'wrong (?P<n>x)' }),
  ])
  expect(await dispatch(owner, { text: 'count 12' })).toMatchObject({ execution: { input: { word: '12 of count 12' } } })
  expect(await dispatch(owner, { text: 'wrong x' })).toMatchObject({ __typename: 'ValidationProblem' })
})

test('the same key answers the same, whatever patterns there are then; another text with it is refused (E2)', async () => {
  const owner = await person()
  const { id, definition } = await createFlow(owner, [pattern('once', { pattern: 'keyed (?P<word>\\w+)' })])
  const first = await dispatch(owner, { text: 'keyed a', idempotencyKey: 'k' })
  await publish(owner, id, { ...definition, triggers: [] }, 1)
  const again = await dispatch(owner, { text: 'keyed a', idempotencyKey: 'k' })
  expect(again).toMatchObject({ replayed: true, match: null, tokens: 0, execution: { id: first.execution.id } })
  expect(await dispatch(owner, { text: 'keyed b', idempotencyKey: 'k' })).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' })
})

const START = `mutation ($input: StartExecutionInput!) { startExecution(input: $input) {
  __typename ... on StartExecutionSuccess { execution { id status output } replayed cached } ... on Problem { code } } }`
const start = async (who: Principal, flow: string, input: object, more: object = {}) =>
  (await run(who, START, { input: { flow, input, waitMs: 10_000, ...more } })).data?.startExecution

test('a cache answers with what succeeded before: for the same version, input and person alone, permission first (C5)', async () => {
  const [owner, other] = [await person(), await person()]
  const { id, definition } = await createFlow(owner, [], { cache: { ttl: 'PT1H' } })
  await share(owner, id, other, 'EXECUTE')
  const first = await start(owner, id, { word: 'a' })
  expect(first).toMatchObject({ cached: false, execution: { status: 'SUCCEEDED' } })
  expect(await start(owner, id, { word: 'a' })).toEqual({ ...first, cached: true })
  expect((await audited(owner.id)).at(-1)).toMatchObject({ type: 'execution.reused', success: true })
  expect(await start(owner, id, { word: 'b' })).toMatchObject({ cached: false })
  expect(
    await start(owner, id, { word: 'a' }, { startAt: new Date(Date.now() + 60_000).toISOString(), waitMs: 0 }),
  ).toMatchObject({ cached: false })
  const theirs = await start(other, id, { word: 'a' })
  expect([theirs.cached, theirs.execution.id === first.execution.id]).toEqual([false, false])
  // who may not start it any more is not answered from the cache either
  await database.query('delete from sluice.flow_grants where flow_id = $1', [decodeId('flow', id)])
  expect(await start(other, id, { word: 'a' })).toMatchObject({ code: 'NOT_FOUND' })
  // a key names the execution that it was answered with, for good
  expect(await start(owner, id, { word: 'a' }, { idempotencyKey: 'k' })).toMatchObject({ cached: true, replayed: false })
  expect(await start(owner, id, { word: 'b' }, { idempotencyKey: 'k' })).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' })
  await publish(owner, id, { ...definition, description: 'another version' }, 1)
  expect(await start(owner, id, { word: 'a' })).toMatchObject({ cached: false })
  const kept = await start(owner, id, { word: 'a' }, { idempotencyKey: 'k' })
  expect([kept.replayed, kept.cached, kept.execution.id]).toEqual([true, false, first.execution.id])
})

test('what failed, and what ended longer ago than the time to live, is not given again (C5)', async () => {
  const owner = await person()
  const failing = { steps: { no: { type: 'fail', message: 'no' } }, output: {} }
  const { id } = await createFlow(owner, [], { ...failing, cache: { ttl: 'PT1H' } })
  const first = await start(owner, id, { word: 'a' })
  expect(first.execution.status).toBe('FAILED')
  expect(await start(owner, id, { word: 'a' })).toMatchObject({ cached: false })
  const kept = await createFlow(owner, [], { cache: { ttl: 'PT1H' } })
  const old = await start(owner, kept.id, { word: 'a' })
  const superuser = await superuserOf(database.orm.config.get('dbName'))
  await age(superuser, [decodeId('execution', old.execution.id)!], 1)
  expect(await start(owner, kept.id, { word: 'a' })).toMatchObject({ cached: false })
})

test('statistics of a pattern: executions, success, hits of its cache, tokens, p50 and p95 (C11)', async () => {
  const owner = await person()
  const verb = word()
  const steps = {
    no: { type: 'fail', when: 'input.word == "bad"', message: 'no' },
    say: { type: 'transform', set: {}, when: 'input.word != "bad"' },
  }
  const more = { steps, output: { word: '${{ input.word }}' } }
  const { id } = await createFlow(
    owner,
    [pattern('counted', { pattern: `${verb} (?P<word>\\w+)`, cost: 10, cacheTtl: 'PT1H' }), pattern('idle')],
    more,
  )
  const results = []
  for (const text of ['one', 'two', 'one', 'one', 'bad'])
    results.push(await dispatch(owner, { text: `${verb} ${text}`, waitMs: 10_000 }))
  expect(results.map(({ cached, tokens }) => [cached, tokens])).toEqual([
    ...[
      [false, 10],
      [false, 10],
      [true, 0],
      [true, 0],
      [false, 10],
    ],
  ])
  await triggers.patternUses.runOnce()
  const times = await database.query<{ ms: number }>(
    `select extract(epoch from ended_at - started_at)::float8 * 1000 as ms from sluice.executions where flow_id = $1 order by 1`,
    [decodeId('flow', id)],
  )
  const [counted, idle] = (await run(owner, STATISTICS, { id })).data.flow.triggers
  const [, middle, last] = times.map(({ ms }) => ms)
  expect(counted.statistics).toEqual({
    ...{ executions: 3, succeeded: 2, successRate: expect.closeTo(2 / 3), answers: 5, cached: 2, hitRate: 0.4, tokens: 30 },
    ...{ p50Ms: expect.closeTo(middle!), p95Ms: expect.closeTo(middle! + (last! - middle!) * 0.9) },
  })
  expect(idle.statistics).toEqual({
    ...{
      executions: 0,
      succeeded: 0,
      successRate: null,
      p50Ms: null,
      p95Ms: null,
      answers: 0,
      cached: 0,
      hitRate: null,
      tokens: 0,
    },
  })
  const reader = await person('VIEWER')
  await share(owner, id, reader, 'VIEW')
  expect((await run(reader, STATISTICS, { id })).data.flow.triggers).toEqual([
    { name: 'counted', statistics: null },
    { name: 'idle', statistics: null },
  ])
})
