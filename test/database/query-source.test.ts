import { Writable } from 'node:stream'
import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { measureSources } from '../../src/database/query-metrics.ts'
import { SourceError } from '../../src/database/query-source.ts'
import type { SourceQuery } from '../../src/database/query-source.ts'
import { createLog } from '../../src/log.ts'
import { testSource } from '../harness/query-source.ts'

const source = await testSource(`
  create table numbers (n int primary key);
  insert into numbers select generate_series(1, 5000);
  create function slow(int) returns int language sql volatile as 'select $1 from pg_sleep(30)';`)
const { open, ownerQuery, running } = source

const never = new AbortController().signal
const ask = (sql: string, params: unknown[] = [], more: Partial<SourceQuery> = {}): SourceQuery => ({
  ...{ sql, params, maxRows: 100, maxBytes: 1_000_000, timeoutMs: 10_000 },
  ...more,
})
const reasonOf = (error: unknown): unknown[] =>
  error instanceof SourceError ? [error.reason, error.sqlState, error.message] : [error]

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo()));
}

describe('values', () => {
  const reader = open()
  const read = async (expression: string): Promise<unknown> =>
    (await reader.run(ask(`select ${expression} as v`), never)).rows[0]!['v']

  test.each([
    ['null::int', null],
    ['true', true],
    ['42', 42],
    ['9007199254740991', 9_007_199_254_740_991],
    ['9007199254740993', '9007199254740993'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['12.50', '12.50'],
    ['100000000000000000000.1', '100000000000000000000.1'],
    ['0.1::float8', 0.1],
    ['1e300::float8', 1e300],
    ['1.5::float4', 1.5],
    ["'NaN'::float8", 'NaN'],
    ["'-Infinity'::float8", '-Infinity'],
    ["'é😀'", 'é😀'],
    ["'2026-01-31 10:00:00.123456+01'::timestamptz", '2026-01-31T09:00:00.123456Z'],
    ["'2026-01-31 10:00:00'::timestamp", '2026-01-31T10:00:00'],
    ["'infinity'::timestamptz", 'infinity'],
    ["'0044-03-15 BC'::timestamptz", '0044-03-15 00:00:00+00 BC'],
    ["'2026-01-31'::date", '2026-01-31'],
    ["'1 day 02:00:00'::interval", 'P1DT2H'],
    ["'0190a000-0000-7000-8000-000000000001'::uuid", '0190a000-0000-7000-8000-000000000001'],
    ["'\\x00ff'::bytea", '\\x00ff'],
    [`'{"a": [1, null]}'::jsonb`, { a: [1, null] }],
    ["'null'::json", null],
    ['array[1, null, 3]', [1, null, 3]],
    [
      'array[[1, 2], [3, 4]]',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ["array['a', null, 'b,\"c']", ['a', null, 'b,"c']],
    ['array[true]', [true]],
    ['array[9007199254740993]', ['9007199254740993']],
    ['array[1.50]', ['1.50']],
    [`array['{"a":1}'::jsonb]`, [{ a: 1 }]],
    ["array['2026-01-31 00:00:00+00'::timestamptz]", ['2026-01-31T00:00:00Z']],
    ['array[]::text[]', []],
    ["row(1, 'a')::text", '(1,a)'],
  ])('%s is read as %j', async (expression, value) => {
    expect(await read(expression)).toEqual(value)
  })

  test('what is given as a parameter comes back as it was', async () => {
    const params = [null, true, 1.5, "it's", ['a', "'b'", null], { a: [1] }]
    const types = ['text', 'bool', 'float8', 'text', 'text[]', 'jsonb']
    const sql = `select ${types.map((type, i) => `$${i + 1}::${type} as v${i}`).join(', ')}`
    expect(Object.values((await reader.run(ask(sql, params), never)).rows[0]!)).toEqual(params)
  })

  test('a column called __proto__ is a column', async () => {
    const { rows } = await reader.run(ask('select 1 as "__proto__"'), never)
    expect(Object.keys(rows[0]!)).toEqual(['__proto__'])
  })
})

test('of more rows than wanted the first come, and it is said', async () => {
  const reader = open()
  const sql = 'select n from numbers order by n'
  expect(await reader.run(ask(sql, [], { maxRows: 3 }), never)).toEqual({ rows: [{ n: 1 }, { n: 2 }, { n: 3 }], truncated: true })
  const all = await reader.run(ask(sql, [], { maxRows: 5_000 }), never)
  expect([all.rows.length, all.truncated]).toEqual([5_000, false])
  expect(await reader.run(ask('select n from numbers where n < $1', [1]), never)).toEqual({ rows: [], truncated: false })
})

test('rows beyond are not even read (C4)', async () => {
  // the second row would be an error
  const { rows } = await open()
    .run(ask('select 10 / (2 - n) as v from numbers order by n', [], { maxRows: 1 }), never)
    .catch((error) => ({ rows: reasonOf(error) }))
  expect(rows).toEqual(['REFUSED', '22012', 'The source refused the query: SQLSTATE 22012'])
  const endless = 'with recursive c as (select 1 as n union all select n + 1 from c) select n from c'
  expect((await open().run(ask(endless, [], { maxRows: 2 }), never)).rows).toEqual([{ n: 1 }, { n: 2 }])
})

test.each([
  ['insert into numbers values (0) returning n', '25006'],
  ['delete from numbers returning n', '25006'],
  ['with d as (delete from numbers returning n) select n from d', '25006'],
  ['select n from numbers for update', '25006'],
  ['create table mine (a int)', '25006'],
  ['select nextval($1)', '25006'],
])('%s fails, whatever the guard let through: the transaction only reads (C4)', async (sql, state) => {
  await ownerQuery(
    'create sequence if not exists counter; grant all on sequence counter to public; grant all on numbers to public',
  )
  const error = await open()
    .run(ask(sql, sql.includes('$1') ? ['counter'] : []), never)
    .catch((thrown: unknown) => thrown)
  expect(reasonOf(error).slice(0, 2)).toEqual(['REFUSED', state])
  expect(await ownerQuery('select count(*)::int as n from numbers')).toEqual([{ n: 5_000 }])
  await ownerQuery('revoke all on numbers from public')
})

test('two statements are never one query', async () => {
  const error = await open()
    .run(ask('select 1; select 2'), never)
    .catch((thrown: unknown) => thrown)
  expect(reasonOf(error).slice(0, 2)).toEqual(['REFUSED', '42601'])
})

const WORST = [
  ['sleeps', 'select slow(1)'],
  ['recursion without end', 'with recursive c as (select 1 as n union all select n + 1 from c) select count(*) from c'],
  ['a cross join', 'select count(*) from numbers a, numbers b, numbers c, numbers d'],
  ['a sort of a cross join', 'select a.n from numbers a, numbers b, numbers c order by b.n + c.n'],
] as const

test.each(WORST)('%s ends with its timeout, also in the source; the connection is used again (C4)', async (_, sql) => {
  const reader = open({ size: 1 })
  const started = performance.now()
  const error = await reader.run(ask(sql, [], { timeoutMs: 300 }), never).catch((thrown: unknown) => thrown)
  expect(reasonOf(error).slice(0, 2)).toEqual(['TIMEOUT', '57014'])
  expect(performance.now() - started).toBeLessThan(3_000)
  expect(await running()).toEqual([])
  expect((await reader.run(ask('select 1 as one'), never)).rows).toEqual([{ one: 1 }])
})

test.each(WORST)('%s that is aborted ends in the source too (A10)', async (_, sql) => {
  const reader = open({ size: 1 })
  const stop = new AbortController()
  const asked = reader.run(ask(sql, [], { timeoutMs: 60_000 }), stop.signal).catch((thrown: unknown) => thrown)
  await until(async () => (await running()).length > 0)
  stop.abort()
  expect(reasonOf(await asked)[0]).toBe('ABORTED')
  await until(async () => (await running()).length === 0)
  expect((await reader.run(ask('select 1 as one'), never)).rows).toEqual([{ one: 1 }])
})

test('an answer that is too large is broken off, in one value or in many, and memory stays bounded (C4)', async () => {
  const reader = open()
  await reader.run(ask('select 1 as one'), never)
  const before = process.memoryUsage().rss
  for (const sql of [
    "select string_agg(repeat('x', 1000), '') as v from numbers a, numbers b where b.n <= 20",
    "select repeat('x', 1000) as v from numbers a, numbers b",
  ]) {
    const error = await reader.run(ask(sql, [], { maxRows: 1_000_000 }), never).catch((thrown: unknown) => thrown)
    expect(reasonOf(error)).toEqual(['TOO_LARGE', undefined, 'The answer is over 1000000 bytes.'])
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(60_000_000)
  await until(async () => (await running()).length === 0)
})

test('two columns of one name are an error, not one column', async () => {
  const error = await open()
    .run(ask('select n, n + 1 as n from numbers'), never)
    .catch((thrown: unknown) => thrown)
  expect(reasonOf(error)).toEqual(['DUPLICATE_COLUMN', undefined, 'Two columns are called n: name one with "as".'])
})

test('errors name tables and columns, never values', async () => {
  const fails = async (sql: string, params: unknown[]): Promise<unknown> =>
    reasonOf(
      await open()
        .run(ask(sql, params), never)
        .catch((error: unknown) => error),
    )[2]
  expect(await fails('select m from numbers', [])).toBe('The source refused the query: column "m" does not exist')
  expect(await fails('select $1::int as n', ['hunter2'])).toBe('The source refused the query: SQLSTATE 22P02')
})

test('a source that is not there is an error, in time and without its password', async () => {
  const connection = source.url.replace(/@[^/]*/, '@127.0.0.1:1')
  const error = await open({ connection })
    .run(ask('select 1 as one'), never)
    .catch((thrown: unknown) => thrown)
  expect(reasonOf(error)).toEqual(['UNREACHABLE', undefined, 'The source cannot be reached, or was lost.'])
})

test('each query is measured, by its source and how it ended (A9)', async () => {
  const registry = new Registry()
  const measured = measureSources(new Map([['shop', open({ name: 'shop' })]]), registry).get('shop')!
  await measured.run(ask('select 1 as one'), never)
  await measured.run(ask('select m from numbers'), never).catch(() => undefined)
  const { values } = (await registry.getMetricsAsJSON()).find(({ name }) => name === 'sluice_query_seconds')!
  const counts = values.filter((value) => 'metricName' in value && value.metricName === 'sluice_query_seconds_count')
  expect(counts.map(({ labels, value }) => ({ ...labels, value }))).toEqual([
    { source: 'shop', outcome: 'OK', value: 1 },
    { source: 'shop', outcome: 'REFUSED', value: 1 },
  ])
})

test('a connection that is lost in between is replaced', async () => {
  const reader = open({ size: 1 })
  await reader.run(ask('select 1 as one'), never)
  await ownerQuery('select 1')
  const asked = reader.run(ask('select slow(1)'), never).catch((thrown: unknown) => thrown)
  await until(async () => (await running()).length > 0)
  await source.terminate()
  expect(reasonOf(await asked).slice(0, 2)).toEqual(['REFUSED', '57P01'])
  expect((await reader.run(ask('select 1 as one'), never)).rows).toEqual([{ one: 1 }])
})

test('a role that can do more than read is told of in the log; one that cannot is not (D1)', async () => {
  const lines: string[] = []
  const log = createLog('warn', new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) }))
  await open({ log }).check()
  expect(lines).toEqual([])
  await open({ log, name: 'mighty', connection: source.superuserUrl }).check()
  await open({ log, name: 'away', connection: source.url.replace(/@[^/]*/, '@127.0.0.1:1') }).check()
  expect(lines.map((line) => JSON.parse(line) as Record<string, unknown>)).toMatchObject([
    { source: 'mighty', problems: [expect.stringContaining('do everything (superuser)')] },
    { source: 'away', msg: 'a query source cannot be reached' },
  ])
  expect(lines.join()).not.toContain(source.url.split(':')[2]!.split('@')[0])
  await ownerQuery(`grant insert on numbers to ${source.role}`)
  await open({ log, name: 'writer' }).check()
  await ownerQuery(`revoke insert on numbers from ${source.role}`)
  expect(lines.at(-1)).toContain('write to tables')
})
