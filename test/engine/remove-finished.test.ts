/** What goes when, and what nobody can make go. Rows are aged by a superuser: no other role can. */
import type { Client } from 'pg'
import { beforeEach, expect, test } from 'vitest'
import { dropPartitions, removeDeadWords, removeOld, REMOVABLE } from '../../src/engine/remove-finished.ts'
import type { Removable } from '../../src/engine/remove-finished.ts'
import { newUuid } from '../../src/ids.ts'
import { age, makePartitions, olderId, superuserOf } from '../harness/age.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { startFlow, startOrder, storeFlow, testEngine, unwrap } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery, name } = await testDatabase()
const engine = await testEngine(database, { handlers: { patient: (_input, { signal }) => until(signal) } })
const until = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('told to stop'))))

const short = await storeFlow(database, {
  name: 'short',
  steps: { a: { type: 'transform', set: { n: 1 } }, b: { type: 'notify', after: ['a'], roles: ['ceo'], message: {} } },
  output: { n: '${{ steps.a.output.n }}' },
})
const long = await storeFlow(database, { name: 'long', steps: { a: { type: 'wait', duration: 'P20D' } } })

let superuser: Client
beforeEach(async () => {
  superuser = await superuserOf(name)
})

const remove = (what: Removable, batch?: number): Promise<number> =>
  removeOld(what, { database, auditKeys, isStopping: () => false, ...(batch !== undefined && { batch }) })
async function removeAll(): Promise<Record<Removable, number>> {
  const counts = { executionPayloads: 0, executions: 0, idempotencyKeys: 0 }
  for (const what of REMOVABLE) counts[what] = await remove(what)
  return counts
}
const ended = async (days: number, more: Parameters<typeof startFlow>[3] = {}): Promise<string> => {
  const [id] = await age(superuser, [await startFlow(engine, short, {}, more)], days)
  return id!
}
const TABLES = [
  'execution_inputs',
  'execution_outputs',
  'step_runs',
  'agent_requests',
  'late_outcomes',
  'events',
  'executions',
] as const
/** rows of an execution */
async function rowsOf(id: string): Promise<Record<(typeof TABLES)[number], number>> {
  const counts = await Promise.all(
    TABLES.map((table) => {
      const column = table === 'executions' ? 'id' : 'execution_id'
      return database.query<{ n: number }>(`select count(*)::int as n from sluice.${table} where ${column} = $1`, [id])
    }),
  )
  return Object.fromEntries(TABLES.map((table, at) => [table, counts[at]![0]!.n])) as Record<(typeof TABLES)[number], number>
}
test('payloads and step runs go 30 days after the end, the execution and its events stay (A11, D8)', async () => {
  const [young, old] = [await ended(29), await ended(31)]
  const whole = await rowsOf(young)
  expect(whole).toMatchObject({ execution_inputs: 1, execution_outputs: 1, step_runs: 2, agent_requests: 1, executions: 1 })
  expect(await removeAll()).toEqual({ executionPayloads: 1, executions: 0, idempotencyKeys: 0 })
  expect(await rowsOf(young)).toEqual(whole)
  expect(await rowsOf(old)).toEqual({
    ...{ execution_inputs: 0, execution_outputs: 0, step_runs: 0, agent_requests: 0, late_outcomes: 0 },
    ...{ events: whole.events, executions: 1 },
  })
  expect(await removeAll(), 'nothing is left to do').toEqual({ executionPayloads: 0, executions: 0, idempotencyKeys: 0 })
})

test('executions go with their events 90 days after the end, and each batch says so in the audit log (B10, A11)', async () => {
  const kept = await ended(89)
  const old = [await ended(91), await ended(400), await ended(92)]
  const link = `insert into sluice.execution_links (id, execution_id, flow_id, issuer_id, may, hash, expires_at)
    values ($1, $2::uuid, $1, $1, 'READ', sha256('x'), now())`
  await superuser.query(link, [newUuid(), old[0]])
  await superuser.query(
    `insert into sluice.late_outcomes (execution_id, path, attempt, epoch, outcome) values ($1, 'a', 1, 1, '{}')`,
    [old[1]],
  )
  const [before] = await database.query<{ id: string }>('select id from sluice.audit_events order by id desc limit 1')
  expect(await remove('executionPayloads', 2)).toBe(4)
  expect(await remove('executions', 2)).toBe(3)
  for (const id of old) expect(Object.values(await rowsOf(id)), id).toEqual(TABLES.map(() => 0))
  expect(await rowsOf(kept)).toMatchObject({ executions: 1, events: 7, step_runs: 0 })
  expect(await database.query('select id from sluice.execution_links where execution_id = $1', [old[0]])).toEqual([])
  const told = await database.query<{ actor_kind: string; metadata: Partial<Record<Removable, number>> }>(
    `select actor_kind, metadata from sluice.audit_events where type = 'retention.removed' and id > $1 order by id`,
    [before!.id],
  )
  expect(told.map(({ metadata }) => metadata)).toEqual([
    { executionPayloads: 2 },
    { executionPayloads: 2 },
    { executions: 2 },
    { executions: 1 },
  ])
  expect(new Set(told.map(({ actor_kind: kind }) => kind))).toEqual(new Set(['SYSTEM']))
})

test('what has not ended stays, however old it is; so does what a parent, a child or a retry still needs (A11)', async () => {
  const running = await startFlow(engine, long)
  const parent = await startFlow(engine, long)
  const retry = await startFlow(engine, long)
  const [child, original, ofEndedParent, endedParent] = [
    await startFlow(engine, short),
    await startFlow(engine, short),
    await startFlow(engine, long),
    await startFlow(engine, short),
  ]
  await superuser.query('update sluice.executions set parent_id = $1 where id = $2', [parent, child])
  await superuser.query('update sluice.executions set retry_of = $1 where id = $2', [original, retry])
  await superuser.query('update sluice.executions set parent_id = $1 where id = $2', [endedParent, ofEndedParent])
  const ids = await age(superuser, [running, parent, retry, child, original, ofEndedParent, endedParent], 200)
  const before = await Promise.all(ids.map(rowsOf))
  expect(await removeAll()).toEqual({ executionPayloads: 0, executions: 0, idempotencyKeys: 0 })
  expect(await Promise.all(ids.map(rowsOf))).toEqual(before)
  for (const id of [ids[0]!, ids[1]!, ids[2]!, ids[5]!]) await engine.cancel({ executionId: id })
  expect(await removeAll(), 'their families have ended').toEqual({ executionPayloads: 3, executions: 3, idempotencyKeys: 0 })
  for (const id of [ids[0]!, ids[1]!, ids[2]!, ids[5]!]) expect(await rowsOf(id), 'ended today').toMatchObject({ executions: 1 })
})

test('an idempotency key stays for a day after its creation and after the end of what it started (E2)', async () => {
  const start = async (flow: typeof short, key: string): Promise<string> => {
    const idempotency = { principalId: newUuid(), key, inputHash: Buffer.alloc(32) }
    return unwrap(await engine.start(await startOrder(engine, flow, {}, { idempotency }))).executionId
  }
  const keyAge = (keys: readonly string[], hours: number): Promise<unknown> =>
    superuser.query('update sluice.idempotency_keys set created_at = now() - make_interval(hours => $2) where key = any($1)', [
      keys,
      hours,
    ])
  for (const key of ['young', 'old, ended now']) await start(short, key)
  await age(superuser, [await start(short, 'old'), await start(short, 'nearly')], 2)
  await start(long, 'old, runs')
  await keyAge(['old', 'old, ended now', 'old, runs'], 25)
  await keyAge(['nearly'], 23)
  expect(await remove('idempotencyKeys', 1)).toBe(1)
  const left = await database.query<{ key: string }>('select key from sluice.idempotency_keys order by key')
  expect(left.map(({ key }) => key)).toEqual(['nearly', 'old, ended now', 'old, runs', 'young'])
})

test('no table that has something of an execution is forgotten when it goes', async () => {
  const tables = await ownerQuery<{ name: string }>(
    `select distinct c.relname::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'sluice'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and a.attname in ('execution_id', 'request_id') and not a.attisdropped and c.relname <> 'audit_events' order by 1`,
  )
  expect(tables.length).toBeGreaterThan(8)
  const [source] = await ownerQuery<{ text: string }>(
    `select prosrc as text from pg_proc where oid = 'sluice.delete_finished'::regproc`,
  )
  const left = tables.map((table) => table.name).filter((table) => !source!.text.includes(`delete from sluice.${table} `))
  // what a step waits in is left with the step; src/triggers removes its own by itself
  expect(left).toEqual(['pooled_steps', 'schedule_firings', 'webhook_deliveries'])
})

const REFUSED = { code: '42501' }

test("the application's role removes and rewrites nothing of the history by itself (D1, D8)", async () => {
  const id = await ended(3)
  for (const table of [...TABLES, 'idempotency_keys']) {
    if (table !== 'idempotency_keys')
      await expect(database.query(`delete from sluice.${table}`), table).rejects.toMatchObject(REFUSED)
    if (['agent_requests', 'executions'].includes(table)) continue
    const column = table === 'idempotency_keys' ? 'subject_id' : 'execution_id'
    await expect(database.query(`update sluice.${table} set ${column} = ${column}`), table).rejects.toMatchObject(REFUSED)
  }
  expect(await rowsOf(id)).toMatchObject({ executions: 1, step_runs: 2 })
})

test("the application's role makes nothing old, so that the owner's functions would remove it for it (D1, D8)", async () => {
  const long40 = (await age(superuser, [await startFlow(engine, long)], 40))[0]!
  const ended40 = await ended(29)
  const changes = [
    [`update sluice.executions set ended_at = now() - interval '1 year' where id = $1`, ended40, 'SL002'],
    [`update sluice.executions set id = '01000000-0000-7000-8000-000000000001' where id = $1`, ended40, 'SL002'],
    [`update sluice.executions set id = '01000000-0000-7000-8000-000000000001' where id = $1`, long40, 'SL002'],
    [`update sluice.executions set created_at = now() - interval '1 year' where id = $1`, long40, 'SL002'],
    [`update sluice.retention set payload_days = 1 where $1 <> ''`, long40, '42501'],
    [`select sluice.lock_finished(array[$1::uuid], now(), 1)`, ended40, '42501'],
  ] as const
  for (const [text, id, code] of changes) await expect(database.query(text, [id]), text).rejects.toMatchObject({ code })
  // an end that is said to be of long ago is now
  await database.query(
    `update sluice.executions set status = 'CANCELED', ended_at = now() - interval '31 days', wake_at = null, deadline_at = null,
       in_flight = '[]' where id = $1`,
    [long40],
  )
  const lowest = '00000000-0000-0000-0000-000000000000'
  for (const what of ['payloads', 'executions'])
    expect(await database.query('select removed from sluice.remove_finished($1, $2, 1000000)', [what, lowest])).toEqual([
      { removed: 0 },
    ])
  expect(await rowsOf(ended40)).toMatchObject({ executions: 1, step_runs: 2, execution_inputs: 1 })
  expect(await rowsOf(long40)).toMatchObject({ executions: 1, execution_inputs: 1 })
})

test("a key cannot be taken away before its time, nor by a key's own transaction another's (E2)", async () => {
  const insert = `insert into sluice.idempotency_keys (principal_id, operation, key, input_hash, subject_id) values ($1, 'x', 'k', '', $1)`
  await database.query(insert, [newUuid()])
  await expect(database.query(`delete from sluice.idempotency_keys where operation = 'x'`)).rejects.toMatchObject(REFUSED)
})

test('what the owner keeps longer stays longer; nothing is kept shorter than its least (B10)', async () => {
  const old = await ended(45)
  await ownerQuery('update sluice.retention set payload_days = 60')
  expect(await remove('executionPayloads')).toBe(0)
  await ownerQuery('update sluice.retention set payload_days = 30')
  expect(await remove('executionPayloads')).toBe(1)
  expect(await rowsOf(old)).toMatchObject({ execution_inputs: 0 })
  for (const less of ['payload_days = 0', 'event_days = payload_days - 1', 'audit_days = 29', 'key_hours = 23'])
    await expect(ownerQuery(`update sluice.retention set ${less}`), less).rejects.toMatchObject({ code: '23514' })
})

test('of two processes at once, one removes, and nothing twice', async () => {
  for (let n = 0; n < 6; n++) await ended(31)
  const counts = await Promise.all([remove('executionPayloads', 1), remove('executionPayloads', 1)])
  expect(counts[0] + counts[1] + (await remove('executionPayloads'))).toBe(6)
})

test('weeks are dropped when nothing of them is left, and no sooner', async () => {
  await removeAll()
  while ((await dropPartitions(database)).length > 0);
  const weeks = async (): Promise<string[]> =>
    (
      await database.query<{ name: string }>(
        `select c.relname::text as name from pg_inherits h join pg_class c on c.oid = h.inhrelid
         where h.inhparent in ('sluice.events'::regclass, 'sluice.step_runs'::regclass) order by 1`,
      )
    ).map(({ name: week }) => week)
  const before = await weeks()
  const old = await ended(120)
  await makePartitions(superuser, [Date.now() - 300 * 86_400_000])
  expect(await weeks()).toHaveLength(before.length + 4)
  expect(await dropPartitions(database), 'the empty one').toHaveLength(2)
  expect(await remove('executionPayloads')).toBe(1)
  expect(await dropPartitions(database)).toEqual([expect.stringMatching(/^step_runs_/)])
  expect(await rowsOf(old)).toMatchObject({ events: 7 })
  expect(await remove('executions')).toBe(1)
  expect(await dropPartitions(database)).toEqual([expect.stringMatching(/^events_/)])
  expect(await weeks(), 'those of now and of weeks to come stay').toEqual(before)
})

test('a week is made ahead while others write, and holds nobody up', async () => {
  const made = () =>
    ownerQuery<{ name: string; atRoot: boolean }>(
      `select c.relname as name, c.relispartition as "atRoot" from pg_class c
       where c.relnamespace = 'sluice'::regnamespace and c.relkind = 'r' and c.relname ~ '^(events|step_runs)_\\d{8}$'`,
    )
  const before = (await made()).length
  await superuser.query('begin')
  for (const table of ['events', 'step_runs']) await superuser.query(`lock table sluice.${table} in row exclusive mode`)
  const [row] = await database.query<{ made: number }>('select sluice.ensure_partitions(6) as made')
  await superuser.query('commit')
  const weeks = await made()
  expect(weeks.length).toBe(before + row!.made)
  expect(row!.made).toBeGreaterThan(0)
  expect(weeks.every(({ atRoot }) => atRoot)).toBe(true)
  const [last] = weeks
    .map(({ name }) => name)
    .filter((name) => name.startsWith('events'))
    .sort()
    .slice(-1)
  const indexes = (of: string) =>
    ownerQuery<{ text: string }>(
      `select regexp_replace(pg_get_indexdef(indexrelid), ' ON .* USING ', ' ') as text from pg_index where indrelid = to_regclass('sluice.' || $1)`,
      [of],
    )
  const primary = (await indexes(last!)).map(({ text }) => text.replace(last!, 'events'))
  expect(primary).toEqual((await indexes('events')).map(({ text }) => text))
})

test('dropping a week waits for nobody: whoever writes meanwhile is not held up', async () => {
  await makePartitions(superuser, [Date.now() - 300 * 86_400_000])
  await superuser.query('begin')
  await superuser.query('select from sluice.events limit 1')
  expect(await dropPartitions(database)).toEqual([])
  await superuser.query('commit')
  expect(await dropPartitions(database)).toHaveLength(2)
})

test('an execution with more steps than one transaction should remove goes in pieces', async () => {
  const id = olderId(newUuid(), 100)
  await makePartitions(superuser, [Date.now() - 100 * 86_400_000])
  await superuser.query(
    `insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, seq, last_event_at, state_bytes, steps_total, created_at, started_at, ended_at)
     values ($1, $2, $3, $2, 'SUCCEEDED', 45000, now() - interval '99 days', 2, 1, now() - interval '100 days', now() - interval '100 days', now() - interval '99 days')`,
    [id, short.flowId, short.flowVersionId],
  )
  await superuser.query(`insert into sluice.execution_inputs values ($1, '{}')`, [id])
  await superuser.query(
    `insert into sluice.step_runs (execution_id, path, name, type, status, attempt, finished_at)
     select $1, 'a[' || n || ']', 'a', 'handler', 'SUCCEEDED', 1, now() from generate_series(1, 22000) n`,
    [id],
  )
  await superuser.query(
    `insert into sluice.events (execution_id, seq, type, at) select $1, n, 'step.started', now() from generate_series(1, 45000) n`,
    [id],
  )
  const other = await ended(99)
  const first = await database.query<object>(`select removed, place from sluice.remove_finished('payloads', $1, 1000)`, [
    '00000000-0000-0000-0000-000000000000',
  ])
  expect(first).toEqual([{ removed: 0, place: '00000000-0000-0000-0000-000000000000' }])
  expect(await rowsOf(id)).toMatchObject({ step_runs: 2000, execution_inputs: 1 })
  expect(await removeAll()).toMatchObject({ executionPayloads: 2, executions: 2 })
  for (const gone of [id, other]) expect(Object.values(await rowsOf(gone))).toEqual(TABLES.map(() => 0))
})

test('words that nobody will read are removed, and no others', async () => {
  const alive = await startFlow(
    engine,
    await storeFlow(database, { name: 'busy', steps: { a: { type: 'handler', handler: 'patient' } } }),
  )
  const over = await startFlow(engine, short)
  for (const receiver of [alive, over, newUuid()])
    for (const [key, seconds] of [
      ['older', 3601],
      ['old', 11],
      ['new', 1],
    ] as const)
      await superuser.query(
        `insert into sluice.inbox (execution_id, key, kind, body, sent_at) values ($1, $2, 'other', '{}', now() - make_interval(secs => $3))`,
        [receiver, key, seconds],
      )
  expect(
    await removeDeadWords(database),
    'all but the new one of the one that has ended, the oldest of the one that is not there',
  ).toBe(3)
  const left = await database.query<{ execution_id: string }>('select execution_id from sluice.inbox order by key')
  expect(left.filter(({ execution_id: id }) => id === alive)).toHaveLength(3)
  expect(left).toHaveLength(6)
})

test('a flow says how long its payloads are kept, as far as the operator lets it (A11, D8)', async () => {
  const keeps = async (days: number) => {
    const flow = await storeFlow(database, { name: `keeps ${days}`, steps: { a: { type: 'transform', set: { n: 1 } } } })
    await database.query('update sluice.flows set payload_days = $2 where id = $1', [flow.flowId, days])
    return flow
  }
  const [brief, kept] = [await keeps(2), await keeps(60)]
  const of = async (flow: typeof brief, days: number) => (await age(superuser, [await startFlow(engine, flow)], days))[0]!
  const ids = { young: await of(brief, 5), middle: await of(brief, 12), old: await of(kept, 40), oldest: await of(kept, 61) }
  const left = async () => {
    const rows = await Promise.all(Object.values(ids).map(rowsOf))
    return Object.keys(ids).filter((_, at) => rows[at]!.execution_inputs > 0)
  }
  // flows have no say unless the operator says how far
  await remove('executionPayloads')
  expect(await left()).toEqual(['young', 'middle'])
  const again = { old: await of(kept, 40), oldest: await of(kept, 61) }
  Object.assign(ids, again)
  await ownerQuery('update sluice.retention set flow_least_days = 7, flow_most_days = 60')
  expect(await remove('executionPayloads')).toBe(2)
  expect(await left()).toEqual(['young', 'old'])
  await ownerQuery('update sluice.retention set flow_least_days = 2')
  expect(await remove('executionPayloads')).toBe(1)
  expect(await left()).toEqual(['old'])
  expect(await remove('executionPayloads')).toBe(0)
  await ownerQuery('update sluice.retention set flow_least_days = null, flow_most_days = null')
  expect(await remove('executionPayloads')).toBe(1)
})

test('payloads of a flow that keeps them briefly go in batches; what has not ended is passed by and found again', async () => {
  await ownerQuery('update sluice.retention set flow_least_days = 1, flow_most_days = 30')
  const flow = await storeFlow(database, { name: 'brief', steps: { a: { type: 'signal', signals: ['go'] } } })
  await database.query('update sluice.flows set payload_days = 1 where id = $1', [flow.flowId])
  const ids: string[] = []
  for (let at = 0; at < 7; at++) ids.push(await startFlow(engine, flow))
  const living = ids[2]!
  for (const id of ids) if (id !== living) unwrap(await engine.cancel({ executionId: id }))
  await Promise.all(ids.filter((id) => id !== living).map((id) => engine.ended(id, 5_000)))
  const [older] = await age(superuser, [living], 5)
  await age(
    superuser,
    ids.filter((id) => id !== living),
    4,
  )
  expect(await remove('executionPayloads', 2)).toBe(6)
  await superuser.query(
    `update sluice.executions set status = 'CANCELED', owner = null, wake_at = null, deadline_at = null, in_flight = '[]',
     ended_at = now() - interval '2 days' where id = $1`,
    [older],
  )
  expect(await remove('executionPayloads', 2)).toBe(1)
  await ownerQuery('update sluice.retention set flow_least_days = null, flow_most_days = null')
})
