/** Schedules through the API: what is due is started once, overlaps and absences go as told, and people keep command. */
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, onTestFinished, test } from 'vitest'
import type { Principal } from '../../src/identity/principal.ts'
import { decodeId, encodeId, newUuid } from '../../src/ids.ts'
import { forgetFirings } from '../../src/triggers/forget-firings.ts'
import { startFirings } from '../../src/triggers/start-firings.ts'
import { openTracing } from '../../src/tracing.ts'
import { as, testApi } from '../harness/api.ts'

const { person, run, engine, scheduler, audited, database, ownerQuery } = await testApi()
let number = 0

const MINUTE = 60_000
const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
  __typename ... on CreateFlowSuccess { flow { id schedules { id } } } ... on ValidationProblem { issues { code path message } } } }`
const READ = `query ($id: ID!) { flow(id: $id) { schedules {
  id name cron every timezone overlap catchUp nextTimes(first: 3) pausedAt pauseReason pausedBy { id } runsAs { id } version
  lastProblem { code message } trigger: firings(first: 0) { status }
  firings(first: 20) { scheduledFor cause status reason trigger { id } execution { id status output trigger { type name } scheduleFiring { scheduledFor cause } } } } } }`
const PAUSE = `mutation ($id: ID!, $reason: String) { pauseSchedule(input: { id: $id, reason: $reason }) {
  __typename ... on PauseScheduleSuccess { schedule { pausedAt pauseReason nextTimes version } } } }`
const RESUME = `mutation ($id: ID!) { resumeSchedule(input: { id: $id }) { __typename ... on ResumeScheduleSuccess { schedule { pausedAt nextTimes } } } }`
const RUN_NOW = `mutation ($id: ID!, $key: String) { runScheduleNow(input: { id: $id, idempotencyKey: $key }) {
  __typename ... on RunScheduleNowSuccess { replayed firing { cause status execution { id status } } } } }`
const BACKFILL = `mutation ($input: BackfillScheduleInput!) { backfillSchedule(input: $input) {
  __typename ... on BackfillScheduleSuccess { count times alreadyStarted } ... on ValidationProblem { issues { path message } } } }`

/** Waits for a signal, so that executions overlap. */
const WAITS = { steps: { wait: { type: 'signal', signals: ['go'] } } }
/** Ends at once with the scheduled time. */
const TELLS = {
  input: { type: 'object', properties: { at: { type: 'string' } }, required: ['at'], additionalProperties: false },
  steps: { tell: { type: 'transform', set: { at: '${{ input.at }}' } } },
  output: { at: '${{ steps.tell.output.at }}' },
}

async function scheduled(trigger: object, flow: object = TELLS, owner?: Principal) {
  const me = owner ?? (await person())
  const input = flow === TELLS ? { input: { at: '${{ schedule.time }}' } } : {}
  const definition = {
    name: `schedules ${++number}`,
    ...flow,
    triggers: [{ type: 'schedule', name: 'tick', ...input, ...trigger }],
  }
  const { flow: made } = as('CreateFlowSuccess', (await run(me, CREATE, { definition })).data.createFlow)
  const id = made.schedules[0].id as string
  return { me, flow: made.id as string, id, uuid: decodeId('trigger', id)!, definition }
}
type Made = Awaited<ReturnType<typeof scheduled>>

const SHARE = `mutation ($input: GrantFlowAccessInput!) { grantFlowAccess(input: $input) { __typename } }`
async function share({ me, flow }: Made, ...who: [Principal, 'VIEW' | 'EDIT' | 'MANAGE'][]): Promise<void> {
  const grants = who.map(([{ id }, action]) => ({ to: { user: encodeId('user', id) }, action }))
  as('GrantFlowAccessSuccess', (await run(me, SHARE, { input: { flowId: flow, grants } })).data.grantFlowAccess)
}

const read = async ({ me, flow }: Pick<Made, 'me' | 'flow'>) => (await run(me, READ, { id: flow })).data.flow.schedules[0]
const firings = async (made: Made) =>
  (await read(made)).firings.map(({ cause, status }: { cause: string; status: string }) => `${cause} ${status}`)

const now = () => database.clock.now()
const iso = (time: number) => new Date(time).toISOString()
/** As if this had been the schedule's next time, and it had come `lateMs` ago. */
const comeDue = ({ uuid }: Made, time: number, lateMs = 0) =>
  database.query('update sluice.schedules set next_for = $2, next_at = $3 where trigger_id = $1', [
    ...[uuid, new Date(time), new Date(now() - lateMs)],
  ])
async function fire(made: Made, time = Math.floor(now()), lateMs = 0): Promise<string> {
  await comeDue(made, time, lateMs)
  await scheduler.runOnce()
  return iso(time)
}
/** Ends what the schedule started. */
async function go({ uuid }: Made): Promise<void> {
  const rows = await database.query<{ id: string }>(
    'select id from sluice.executions where trigger_id = $1 and ended_at is null',
    [uuid],
  )
  for (const { id } of rows) {
    await engine.cancel({ executionId: id })
    await engine.ended(id, 10_000)
  }
}

/** Which of the executions that it started are still there, the last first. */
const running = async ({ uuid }: Made) =>
  (await database.query('select id from sluice.executions where trigger_id = $1 and ended_at is null', [uuid])).length

test('a time that is due starts one execution, which knows its trigger and its scheduled time; the next time is set', async () => {
  const made = await scheduled({ cron: '30 2 * * *', timezone: 'Europe/Berlin' })
  const before = await read(made)
  expect(before).toMatchObject({ name: 'tick', cron: '30 2 * * *', timezone: 'Europe/Berlin', overlap: 'SKIP', catchUp: 'LAST' })
  expect(before).toMatchObject({ every: null, runsAs: { id: expect.stringMatching('user_') }, lastProblem: null, firings: [] })
  expect(before.nextTimes).toHaveLength(3)
  await comeDue(made, Math.floor(now()))
  await Promise.all([scheduler.runOnce(), scheduler.runOnce()])
  const [firing, ...others] = (await read(made)).firings
  expect(others).toEqual([])
  await engine.ended(decodeId('execution', firing.execution.id)!, 10_000)
  const { scheduledFor } = firing
  const after = await read(made)
  expect(after.firings[0]).toEqual({
    ...{ scheduledFor, cause: 'SCHEDULED', status: 'STARTED', reason: null, trigger: { id: made.id } },
    execution: {
      ...{ id: firing.execution.id, status: 'SUCCEEDED', output: { at: scheduledFor } },
      trigger: { type: 'SCHEDULE', name: 'tick' },
      scheduleFiring: { scheduledFor, cause: 'SCHEDULED' },
    },
  })
  expect(after.nextTimes).toEqual(before.nextTimes)
})

test('a firing begins a trace, which the execution goes on with (A9)', async () => {
  const exporter = new InMemorySpanExporter()
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  onTestFinished(() => (trace.disable(), context.disable(), openTracing()))
  openTracing()
  const made = await scheduled({ every: 'PT1H' })
  await fire(made)
  const { id } = (await read(made)).firings[0].execution
  await engine.ended(decodeId('execution', id)!, 10_000)
  const spans = exporter.getFinishedSpans()
  const firing = spans.find(({ name }) => name === 'trigger schedule')!
  expect(firing).toMatchObject({ attributes: { 'sluice.trigger': made.uuid, 'sluice.flow': decodeId('flow', made.flow) } })
  const within = spans.filter((span) => span.spanContext().traceId === firing.spanContext().traceId)
  expect(within.map(({ name }) => name)).toEqual(expect.arrayContaining(['commit', 'trigger schedule']))
})

test('what overlaps is skipped, queued, takes the place of what runs, or runs beside it', async () => {
  const policies = [{ overlap: 'skip' }, { overlap: 'queue', maxQueued: 1 }, { overlap: 'cancel' }, { overlap: 'allow' }]
  const made = await Promise.all(policies.map((policy) => scheduled({ every: 'P1D', ...policy }, WAITS)))
  const [skip, queue, cancel, allow] = made as [Made, Made, Made, Made]
  const times = [3_000, 2_000, 1_000].map((ago) => Math.floor(now()) - ago)
  for (const time of times) for (const one of [skip, queue, allow]) await fire(one, time)
  expect(await firings(skip)).toEqual(['SCHEDULED SKIPPED', 'SCHEDULED SKIPPED', 'SCHEDULED STARTED'])
  expect(await firings(queue)).toEqual(['SCHEDULED SKIPPED', 'SCHEDULED WAITING', 'SCHEDULED STARTED'])
  expect(await firings(allow)).toEqual(['SCHEDULED STARTED', 'SCHEDULED STARTED', 'SCHEDULED STARTED'])
  expect(await Promise.all([skip, queue, allow].map(running))).toEqual([1, 1, 3])
  await go(queue)
  await scheduler.runOnce()
  expect(await firings(queue)).toEqual(['SCHEDULED SKIPPED', 'SCHEDULED STARTED', 'SCHEDULED STARTED'])
  expect(await running(queue)).toBe(1)

  await fire(cancel, times[0])
  const first = (await read(cancel)).firings[0].execution.id
  for (const time of times.slice(1)) await comeDue(cancel, time).then(() => scheduler.runOnce())
  await engine.ended(decodeId('execution', first)!, 10_000)
  await scheduler.runOnce()
  const { firings: came } = await read(cancel)
  expect(came[2].execution).toMatchObject({ id: first, status: 'CANCELED' })
  expect(came[0].status).toBe('STARTED')
  expect(await running(cancel)).toBe(1)
})

test('after a day without a server the schedule catches up as it says, and tells what it left out', async () => {
  const made = await Promise.all(
    ['none', 'last', 'all'].map((catchUp) => scheduled({ every: 'PT6H', catchUp, overlap: 'allow' })),
  )
  const [none, last, all] = made as [Made, Made, Made]
  const time = Math.floor(now() / (6 * 60 * MINUTE) - 4) * 6 * 60 * MINUTE
  for (const one of made) await comeDue(one, time, now() - time)
  await Promise.all([scheduler.runOnce(), scheduler.runOnce()])
  // unless one of them came within the last minute, which is in time
  expect((await firings(none)).slice(-1)).toEqual(['CAUGHT_UP MISSED'])
  expect((await read(none)).firings.at(-1).reason).toContain('left out')
  expect((await firings(last)).map((firing: string) => firing.split(' ')[1])).toEqual(['STARTED', 'MISSED'])
  expect((await firings(all)).map((firing: string) => firing.split(' ')[1])).toEqual(Array(5).fill('STARTED'))
  expect((await read(all)).firings.map(({ scheduledFor }: { scheduledFor: string }) => scheduledFor)).toEqual(
    [4, 3, 2, 1, 0].map((n) => iso(time + n * 6 * 60 * MINUTE)),
  )
  expect((await read(all)).nextTimes[0]).toBe(iso(time + 5 * 6 * 60 * MINUTE))
})

test('a crash after the start and before it was noted neither doubles nor loses it', async () => {
  const made = await scheduled({ every: 'P1D' })
  await fire(made)
  const before = (await read(made)).firings
  await engine.ended(decodeId('execution', before[0].execution.id)!, 10_000)
  await database.query(`update sluice.schedule_firings set status = 'WAITING' where trigger_id = $1`, [made.uuid])
  await ownerQuery(`update sluice.idempotency_keys set created_at = created_at - interval '30 days' where key like $1`, [
    `${made.uuid}%`,
  ])
  await ownerQuery(`select sluice.remove_idempotency_keys('-infinity', 100)`)
  await scheduler.runOnce()
  expect((await read(made)).firings).toEqual([
    { ...before[0], execution: expect.objectContaining({ id: before[0].execution.id }) },
  ])
  expect(await database.query('select id from sluice.executions where trigger_id = $1', [made.uuid])).toHaveLength(1)
})

test('it runs as whoever published it, as they are now: a refusal is audited, and the schedule says why (C1, C2, A7)', async () => {
  const made = await scheduled({ every: 'P1D' })
  await database.query('update sluice.users set disabled_at = now() where id = $1', [made.me.id])
  const scheduledFor = await fire(made)
  await database.query('update sluice.users set disabled_at = null where id = $1', [made.me.id])
  const refused = await read(made)
  expect(refused.lastProblem).toMatchObject({ code: 'NOT_ALLOWED' })
  expect(refused.firings).toMatchObject([
    { scheduledFor, status: 'REFUSED', reason: refused.lastProblem.message, execution: null },
  ])
  expect(
    await database.query(`select error_code from sluice.audit_events where type = 'execution.startRefused' and flow_id = $1`, [
      decodeId('flow', made.flow),
    ]),
  ).toEqual([{ error_code: 'NOT_ALLOWED' }])
  await fire(made)
  expect((await read(made)).lastProblem).toBeNull()
})

test('firings go when events go', async () => {
  const made = await scheduled({ every: 'P1D' })
  await fire(made)
  const old = '01900000-0000-7000-8000-000000000000'
  await database.query(
    `insert into sluice.schedule_firings (trigger_id, scheduled_for, cause, status, execution_id) values ($1, '2024-06-10', 'SCHEDULED', 'STARTED', $2)`,
    [made.uuid, old],
  )
  expect((await read(made)).firings).toHaveLength(2)
  await forgetFirings(database)
  expect((await read(made)).firings).toMatchObject([{ execution: { id: expect.stringMatching('exec_') } }])
})

test('an input that does not fit the flow is refused, and the schedule says what is wrong with it', async () => {
  const made = await scheduled({ every: 'P1D', input: { at: '${{ schedule.name }}', more: 5 } })
  await fire(made)
  expect((await read(made)).lastProblem).toMatchObject({ code: 'VALIDATION', message: expect.stringContaining('more') })
})

test('a paused schedule starts nothing until it is resumed; what waited is left out', async () => {
  const made = await scheduled({ every: 'PT1H', overlap: 'queue' }, WAITS)
  const { me, id } = made
  await fire(made, Math.floor(now()) - 2)
  await fire(made, Math.floor(now()) - 1)
  const { data } = await run(me, PAUSE, { id, reason: 'the service is down' })
  expect(data.pauseSchedule.schedule).toMatchObject({ pauseReason: 'the service is down', nextTimes: [], version: 2 })
  expect((await run(me, PAUSE, { id })).data.pauseSchedule.__typename).toBe('IllegalStateProblem')
  await go(made)
  await scheduler.runOnce()
  expect(await firings(made)).toEqual(['SCHEDULED SKIPPED', 'SCHEDULED STARTED'])
  expect(await read(made)).toMatchObject({ pausedBy: { id: expect.stringMatching('user_') } })
  // what came of it is nobody's business who may only read the flow
  const [reader, manager] = [await person(), await person()]
  await share(made, [reader, 'VIEW'], [manager, 'MANAGE'])
  expect(await read({ ...made, me: reader })).toMatchObject({ pauseReason: null, lastProblem: null, firings: [], nextTimes: [] })
  expect(await read({ ...made, me: manager })).toMatchObject({ pauseReason: 'the service is down', firings: [{}, {}] })
  const resumed = (await run(me, RESUME, { id })).data.resumeSchedule.schedule
  expect([resumed.pausedAt, Date.parse(resumed.nextTimes[0]) > now()]).toEqual([null, true])
  expect((await run(me, RESUME, { id })).data.resumeSchedule.__typename).toBe('IllegalStateProblem')
  const types = (await audited(me.id)).map(({ type }) => type)
  expect(types.filter((type) => type.startsWith('schedule.'))).toEqual(['schedule.paused', 'schedule.resumed'])
})

test('running it now follows its policy, works while it is paused, and happens once for one key', async () => {
  const made = await scheduled({ every: 'PT1H' }, WAITS)
  const { me, id } = made
  await run(me, PAUSE, { id })
  const first = (await run(me, RUN_NOW, { id, key: 'once' })).data.runScheduleNow
  expect(first).toMatchObject({ replayed: false, firing: { cause: 'ASKED_FOR', status: 'STARTED' } })
  const again = (await run(me, RUN_NOW, { id, key: 'once' })).data.runScheduleNow
  expect(again).toMatchObject({ replayed: true, firing: { execution: { id: first.firing.execution.id } } })
  const second = (await run(me, RUN_NOW, { id })).data.runScheduleNow
  expect(second.firing).toMatchObject({ status: 'WAITING', execution: null })
  await go(made)
  await scheduler.runOnce()
  expect(await running(made)).toBe(1)
  const other = await scheduled({ every: 'PT1H' }, WAITS, me)
  const mismatch = (await run(me, RUN_NOW, { id: other.id, key: 'once' })).data.runScheduleNow
  expect(mismatch.__typename).toBe('IdempotencyMismatchProblem')
})

test('what a limit holds up is given up after a day, one at a time where nothing overlaps; a backfill waits until it may', async () => {
  const [allow, queue] = [
    await scheduled({ every: 'P1D', overlap: 'allow' }),
    await scheduled({ every: 'P1D', overlap: 'queue' }),
  ]
  const yesterday = Math.floor(now() - 25 * 60 * MINUTE)
    .toString(16)
    .padStart(12, '0')
  const old = () => `${yesterday.slice(0, 8)}-${yesterday.slice(8)}${newUuid().slice(13)}`
  const waits = (made: Made, ...them: [cause: string, executionId: string][]) =>
    Promise.all(
      them.map(([cause, executionId], at) =>
        database.query(
          `insert into sluice.schedule_firings (trigger_id, scheduled_for, cause, status, execution_id)
           values ($1, date_trunc('second', now()) - make_interval(secs => $2), $3, 'WAITING', $4)`,
          [made.uuid, at, cause, executionId],
        ),
      ),
    )
  await waits(allow, ['SCHEDULED', newUuid()], ['SCHEDULED', old()], ['CAUGHT_UP', old()], ['BACKFILLED', old()])
  await waits(queue, ['SCHEDULED', old()], ['SCHEDULED', old()])
  const held = () => Promise.resolve({ ok: false, code: 'LIMIT_REACHED', message: 'wait', retryAfterMs: 5_000 } as const)
  const tried = await Promise.all([allow, queue].map(({ uuid }) => startFirings(database, held, { only: uuid })))
  expect(tried.map(({ refused }) => refused.length)).toEqual([2, 1])
  expect(new Set(tried[1]!.blocked.map(({ id }) => id))).toEqual(new Set([queue.uuid]))
  expect(await firings(allow)).toEqual(['SCHEDULED WAITING', 'SCHEDULED REFUSED', 'CAUGHT_UP REFUSED', 'BACKFILLED WAITING'])
  expect((await read(allow)).lastProblem).toEqual({ code: 'LIMIT_REACHED', message: 'wait' })
  expect(await firings(queue)).toEqual(['SCHEDULED WAITING', 'SCHEDULED REFUSED'])
  await scheduler.runOnce()
  expect(await firings(allow)).toEqual(['SCHEDULED STARTED', 'SCHEDULED REFUSED', 'CAUGHT_UP REFUSED', 'BACKFILLED STARTED'])
})

test('asked for twice within one moment it runs twice, and each key names what it started', async () => {
  const made = await scheduled({ every: 'PT1H', overlap: 'allow' }, WAITS)
  const [{ clock }, moment] = [database, Math.floor(now())]
  const { now: really } = clock
  onTestFinished(() => void Object.assign(clock, { now: really }))
  Object.assign(clock, { now: () => moment })
  const ran = []
  for (const key of ['a', 'b', 'b']) ran.push((await run(made.me, RUN_NOW, { id: made.id, key })).data.runScheduleNow)
  expect(ran.map(({ replayed, firing }) => [replayed, firing?.status])).toEqual(
    [false, false, true].map((was) => [was, 'STARTED']),
  )
  expect(new Set(ran.map(({ firing }) => firing.execution.id)).size).toBe(2)
})

test('steps that somebody else publishes run as whoever published them, not with the rights of whose schedule it was (C1, C2)', async () => {
  const made = await scheduled({ every: 'PT1H' })
  const { me, flow, id, definition } = made
  const editor = await person()
  const hidden = { name: `schedules ${++number}`, steps: { tell: { type: 'transform', set: { a: 1 } } } }
  expect((await run(me, CREATE, { definition: hidden })).data.createFlow.__typename).toBe('CreateFlowSuccess')
  await share(made, [editor, 'EDIT'])
  const publish = `mutation ($input: PublishFlowVersionInput!) { publishFlowVersion(input: $input) { __typename } }`
  const changed = { ...definition, steps: { sub: { type: 'flow', flow: hidden.name, input: {} } }, output: {} }
  const input = { flowId: flow, definition: changed, expectedVersion: 1 }
  expect((await run(editor, publish, { input })).data.publishFlowVersion.__typename).toBe('PublishFlowVersionSuccess')
  const { firing } = (await run(me, RUN_NOW, { id })).data.runScheduleNow
  expect(firing).toMatchObject({ status: 'STARTED', execution: { id: expect.any(String) } })
  await engine.ended(decodeId('execution', firing.execution.id)!, 10_000)
  const shown = (await run(editor, `query ($id: ID!) { execution(id: $id) { error { code } } }`, { id: firing.execution.id }))
    .data
  expect(shown.execution).toEqual({ error: { code: 'FLOW_NOT_FOUND' } })
  expect((await read(made)).runsAs).toEqual({ id: encodeId('user', editor.id) })
})

test('many schedules that are run now at once, by more than there are connections, all start', async () => {
  const triggers = Array.from({ length: 12 }, (_, at) => ({ type: 'schedule', name: `tick${at}`, every: 'PT1H' }))
  const definition = { name: `schedules ${++number}`, steps: { tell: { type: 'transform', set: { a: 1 } } }, triggers }
  const me = await person()
  const { flow } = as('CreateFlowSuccess', (await run(me, CREATE, { definition })).data.createFlow)
  const ran = await Promise.all(flow.schedules.map(({ id }: { id: string }) => run(me, RUN_NOW, { id })))
  expect(ran.map(({ data }) => data.runScheduleNow.firing?.status)).toEqual(triggers.map(() => 'STARTED'))
})

test('a backfill counts first, starts each past time once, and refuses spans that are too long or in the future', async () => {
  const made = await scheduled({ every: 'PT1H', overlap: 'allow' })
  const { me, id } = made
  const end = Math.floor(now() / (60 * MINUTE)) * 60 * MINUTE
  const span = (hours: number) => ({ id, from: iso(end - hours * 60 * MINUTE), to: iso(end) })
  const backfill = async (input: object) => (await run(me, BACKFILL, { input })).data.backfillSchedule
  expect(await backfill({ ...span(4), dryRun: true })).toMatchObject({ count: 5, alreadyStarted: 0 })
  expect(await read(made)).toMatchObject({ firings: [] })
  expect((await backfill(span(4))).times).toEqual([4, 3, 2, 1, 0].map((ago) => iso(end - ago * 60 * MINUTE)))
  await scheduler.runOnce()
  expect(await firings(made)).toEqual(Array(5).fill('BACKFILLED STARTED'))
  expect(await backfill(span(5))).toMatchObject({ count: 1, alreadyStarted: 5 })
  await scheduler.runOnce()
  expect(await firings(made)).toHaveLength(6)
  for (const wrong of [span(1_001), span(-1), { ...span(1), to: iso(now() + MINUTE) }])
    expect(await backfill(wrong)).toMatchObject({ issues: [{ path: ['to'] }] })
})

test('whoever may not manage the flow has no command over its schedules; who does not see it finds none', async () => {
  const made = await scheduled({ every: 'PT1H' })
  const [friend, stranger] = [await person(), await person()]
  await share(made, [friend, 'EDIT'])
  const span = { from: iso(now() - MINUTE), to: iso(now() - 1) }
  for (const [document, variables] of [
    [PAUSE, { id: made.id }],
    [RESUME, { id: made.id }],
    [RUN_NOW, { id: made.id }],
    [BACKFILL, { input: { id: made.id, ...span } }],
  ] as const) {
    expect((await run(friend, document, variables)).codes).toEqual(['FORBIDDEN'])
    const { data } = await run(stranger, document, variables)
    expect(Object.values(data)).toMatchObject([{ __typename: 'NotFoundProblem' }])
  }
})

test('a schedule that is published anew is counted from then; one that is taken out starts nothing any more', async () => {
  const made = await scheduled({ cron: '0 0 1 1 *', overlap: 'queue' }, WAITS)
  const publish = `mutation ($input: PublishFlowVersionInput!) { publishFlowVersion(input: $input) { __typename } }`
  const trigger = { type: 'schedule', name: 'tick', every: 'PT1M' }
  await run(made.me, publish, {
    input: { flowId: made.flow, definition: { ...made.definition, triggers: [trigger] }, expectedVersion: 1 },
  })
  const changed = await read(made)
  expect(changed).toMatchObject({ id: made.id, cron: null, every: 'PT1M', version: 2 })
  expect(Date.parse(changed.nextTimes[0]) - now()).toBeLessThanOrEqual(MINUTE)
  await fire(made)
  await database.query(`update sluice.schedules set overlap = 'queue' where trigger_id = $1`, [made.uuid])
  await run(made.me, RUN_NOW, { id: made.id })
  await run(made.me, publish, {
    input: { flowId: made.flow, definition: { ...made.definition, triggers: [] }, expectedVersion: 2 },
  })
  await go(made)
  await scheduler.runOnce()
  expect(await running(made)).toBe(0)
  const rows = await database.query('select next_at from sluice.schedules where trigger_id = $1', [made.uuid])
  expect(rows).toEqual([{ next_at: null }])
  expect((await run(made.me, RUN_NOW, { id: made.id })).data.runScheduleNow.__typename).toBe('NotFoundProblem')
})
