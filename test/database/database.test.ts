/** Statements, transactions, what the types become, and what the application's role cannot do. */
import { defineEntity, p } from '@mikro-orm/core'
import { beforeAll, expect, test, vi } from 'vitest'
import { openDatabase, queryIn, sqlState } from '../../src/database/database.ts'
import { openOrm } from '../../src/database/orm.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from '../harness/test-database.ts'

const Counter = defineEntity({
  name: 'Counter',
  tableName: 'counters',
  properties: { id: p.integer().primary(), value: p.integer(), version: p.integer().version(), at: p.datetime().nullable() },
})
const { database, ownerQuery, connection } = await testDatabase({ entities: [Counter] })

beforeAll(async () => {
  await ownerQuery(
    'create table sluice.counters (id int primary key, value int not null, version int not null default 1, at timestamptz)',
  )
  await ownerQuery('grant select, insert, update, delete on sluice.counters to sluice_app')
  await ownerQuery('insert into sluice.counters (id, value) select id, 0 from generate_series(1, 20) id')
})

test('a statement takes its values apart from its text (B6)', async () => {
  const name = `'; DROP TABLE workflows; --`
  expect(await database.query('select $1::text as name', [name])).toEqual([{ name }])
})

test('rows come with numbers, dates, parsed JSON and text as documented', async () => {
  const [row] = await database.query<Record<string, unknown>>(`
    select 9007199254740991::int8 as count, null::int8 as nothing, array[1, 2]::int8[] as counts,
      '2026-01-02 03:04:05.678+00'::timestamptz as at, '2026-01-02'::date as day, 1.50::numeric as price,
      '{"b": [1, null]}'::jsonb as data, '{"b":  1}'::json::text as text, '\\x00ff'::bytea as bytes, pg_current_xact_id() is not null as flag`)
  expect(row).toEqual({
    count: 9_007_199_254_740_991,
    nothing: null,
    counts: [1, 2],
    at: new Date('2026-01-02T03:04:05.678Z'),
    day: '2026-01-02',
    price: '1.50',
    data: { b: [1, null] },
    text: '{"b":  1}',
    bytes: Buffer.from([0, 255]),
    flag: true,
  })
})

test('an integer that a number cannot hold is an error, not another number', async () => {
  await expect(database.query('select 9007199254740993::int8 as count')).rejects.toThrow(RangeError)
  expect(await database.query('select 9007199254740993::int8::text as count')).toEqual([{ count: '9007199254740993' }])
})

test('entities have dates', async () => {
  const at = new Date('2026-01-02T03:04:05.678Z')
  await database.transaction(async (em) => {
    ;(await em.findOneOrFail(Counter, 20)).at = at
  })
  expect((await database.fork().findOneOrFail(Counter, 20)).at).toEqual(at)
})

test('a transaction that throws leaves nothing', async () => {
  const work = database.transaction(async (em) => {
    await queryIn(em, 'update sluice.counters set value = 99 where id = 1')
    throw new Error('changed my mind')
  })
  await expect(work).rejects.toThrow('changed my mind')
  expect(await database.query('select value from sluice.counters where id = 1')).toEqual([{ value: 0 }])
})

test('two transactions that lock each other out are repeated until both are done', async () => {
  const bothHoldOne = createMeeting(2)
  let runs = 0
  const addInOrder = (first: number, second: number): Promise<void> =>
    database.transaction(async (em) => {
      runs += 1
      await queryIn(em, 'update sluice.counters set value = value + 1 where id = $1', [first])
      await bothHoldOne()
      await queryIn(em, 'update sluice.counters set value = value + 1 where id = $1', [second])
    })
  await Promise.all([addInOrder(2, 3), addInOrder(3, 2)])
  expect(runs).toBeGreaterThanOrEqual(3)
  expect(await database.query('select value from sluice.counters where id in (2, 3)')).toEqual([{ value: 2 }, { value: 2 }])
})

test('a transaction that can never be serialised is given up after three times', async () => {
  let runs = 0
  const work = database.transaction(async (em) => {
    runs += 1
    await queryIn(em, `do $$ begin raise exception 'no' using errcode = 'serialization_failure'; end $$`)
  })
  expect(sqlState(await work.catch((error: unknown) => error))).toBe('40001')
  expect(runs).toBe(3)
})

test('entities of one type that are flushed together lose no update to another writer (A5)', async () => {
  const add = (ids: number[]): Promise<void> =>
    database.transaction(async (em) => {
      for (const counter of await em.find(Counter, { id: { $in: ids } }, { orderBy: { id: 'asc' } })) counter.value += 1
    })
  const tries = Array.from({ length: 60 }, () => add([10, 11, 12]))
  const results = await Promise.allSettled(tries)
  const done = results.filter(({ status }) => status === 'fulfilled').length
  const rows = await database.query<{ value: number; version: number }>(
    'select value, version from sluice.counters where id between 10 and 12',
  )
  expect(rows).toEqual(Array.from({ length: 3 }, () => ({ value: done, version: done + 1 })))
  expect(done).toBeGreaterThan(0)
})

test('each connection bounds its statements, its idle transactions and its transactions', async () => {
  const rows = await database.query(
    `select name, setting from pg_settings where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') order by name`,
  )
  expect(rows).toEqual([
    { name: 'idle_in_transaction_session_timeout', setting: '5000' },
    { name: 'statement_timeout', setting: '5000' },
    { name: 'transaction_timeout', setting: '5000' },
  ])
})

test('the server may end every idle connection: statements work as soon as that is noticed', async () => {
  const ended = await database.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'sluice_app' and pid <> pg_backend_pid()`,
  )
  expect(ended.length).toBeGreaterThan(0)
  await vi.waitFor(() => Promise.all(Array.from({ length: 10 }, () => database.query('select 1'))))
})

test('a database that does not answer is an error at once', async () => {
  const absent = connection.replace(/\/[^/]*$/, '/absent')
  const opening = openDatabase({ connection: absent, entities: [], poolSize: 2, log: createLog('silent') })
  expect(sqlState(await opening.catch((error: unknown) => error))).toMatch(/^(3D000|42501)$/)
})

test("the database's clock is near this machine's, and a ping refreshes it", async () => {
  await database.ping()
  expect(Math.abs(database.clock.now() - Date.now())).toBeLessThan(1_000)
})

test.each([
  ['make a table', 'create table sluice.mine (id int)'],
  ['make a schema', 'create schema mine'],
  ['make a temporary table', 'create temporary table mine (id int)'],
  ['make a role', 'create role mine'],
  ['alter a table', 'alter table sluice.flows add column mine int'],
  ['drop a table', 'drop table sluice.flows'],
  ['empty a table', 'truncate sluice.executions'],
  ['replace a function', 'create or replace function sluice.mine() returns int language sql as $$ select 1 $$'],
  ['change what was migrated', `insert into sluice.migrations (name) values ('mine')`],
  ['change what is remembered of repeatable SQL', 'update sluice.repeatable_migrations set sha256 = $$mine$$'],
  ['rewrite the audit log', `update sluice.audit_events set success = false`],
  ['delete from the audit log', `delete from sluice.audit_events`],
  ['read the passwords of roles', 'select rolpassword from pg_authid'],
  ['read files', `select pg_read_file('postgresql.conf')`],
])('the role of the application cannot %s (D1)', async (_what, statement) => {
  expect(sqlState(await database.query(statement).catch((error: unknown) => error))).toBe('42501')
})

/** Settles for all once `size` have come; afterwards at once. */
function createMeeting(size: number): () => Promise<void> {
  const met = Promise.withResolvers<void>()
  let came = 0
  return () => {
    came += 1
    if (came === size) met.resolve()
    return met.promise
  }
}

test('a connection that could not be set up is given up: the pool loses no place, and closes', async () => {
  const set = `select set_config('sluice.set_up', 'yes', false)`
  const failing = `do $$ begin if nextval('sluice.connections') < 4 then raise exception 'not yet'; end if; end $$; ${set}`
  await ownerQuery('create sequence sluice.connections; grant usage on sequence sluice.connections to sluice_app')
  const orm = await openOrm({ connection, entities: [], poolSize: 2, log: createLog('silent'), onConnect: failing })
  const ask = () => orm.em.fork().execute(`select current_setting('sluice.set_up', true) as up`)
  for (let n = 0; n < 3; n++) await expect(ask()).rejects.toThrow('not yet')
  expect(await ask()).toEqual([{ up: 'yes' }])
  await orm.close(true)
})

test('a connection that is lost in a transaction takes no place of the pool with it, and the pool closes', async () => {
  const own = await openDatabase({ connection, entities: [], poolSize: 2, log: createLog('silent') })
  const losing = (): Promise<unknown> => own.transaction((em) => queryIn(em, 'select pg_terminate_backend(pg_backend_pid())'))
  for (let n = 0; n < 3; n++) await expect(losing()).rejects.toThrow()
  expect(await own.query('select 1 as one')).toEqual([{ one: 1 }])
  await own.close()
})

test('it closes while connections are on their way', async () => {
  const own = await openDatabase({ connection, entities: [], poolSize: 4, log: createLog('silent') })
  const asked = Promise.allSettled(Array.from({ length: 4 }, () => own.query('select 1')))
  // begun, and not there yet
  await new Promise((resolve) => setImmediate(resolve))
  await own.close()
  expect(await asked).toHaveLength(4)
})
