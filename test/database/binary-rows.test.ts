import { expect, test } from 'vitest'
import { int4Array, rowArray, RowWriter, uuidArray } from '../../src/database/binary-rows.ts'
import { sqlState } from '../../src/database/database.ts'
import { newUuid } from '../../src/ids.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase()
await ownerQuery(
  `create type sluice.sample as (u uuid, s smallint, i integer, l bigint, f double precision, b boolean, at timestamptz, t text,
   j json, k jsonb, y bytea)`,
)
await ownerQuery('grant usage on type sluice.sample to sluice_app')

type Values = [string, number, number, number, number, boolean, number, string, unknown, unknown, Buffer]

function write(writer: RowWriter, values: Values | null): void {
  const [u, s, i, l, f, b, at, t, j, k, y] = values ?? []
  writer.begin(11)
  writer.uuid(u)
  writer.int2(s)
  writer.int4(i)
  writer.int8(l)
  writer.float8(f)
  writer.bool(b)
  writer.time(at)
  writer.text(t)
  writer.json(j)
  writer.jsonb(k)
  writer.bytea(y)
  writer.end()
}

const read = (rows: Buffer | null): Promise<Record<string, unknown>[]> =>
  database.query('select * from unnest($1::sluice.sample[])', [rows])

const SAMPLES: Values[] = [
  [newUuid(), 0, 0, 0, 0, false, 0, '', {}, {}, Buffer.alloc(0)],
  [
    newUuid().toUpperCase(),
    -1,
    -1,
    -1,
    -0.5,
    true,
    -1,
    'a "quoted", {braced} \\ text\n',
    [1, null],
    { a: [] },
    Buffer.from('ab'),
  ],
  [newUuid(), -32768, -(2 ** 31), -(2 ** 53 - 1), -1e300, true, Date.UTC(1969, 0), '😀 ünïcödé', 'x', 1.5, Buffer.alloc(300)],
  [
    newUuid(),
    32767,
    2 ** 31 - 1,
    2 ** 53 - 1,
    5e-324,
    false,
    Date.UTC(2500, 11, 31, 23, 59),
    'é'.repeat(70_000),
    { a: 'é' },
    [],
    Buffer.from([0]),
  ],
]

test('every type and its limits come back as they were written', async () => {
  const writer = new RowWriter()
  for (const values of SAMPLES) write(writer, values)
  const first = writer.take()!
  write(writer, null)
  const second = writer.take()!
  expect(writer.take()).toBeUndefined()
  const rows = await read(rowArray([first, second]))
  expect(rows).toHaveLength(SAMPLES.length + 1)
  for (const [index, [u, s, i, l, f, b, at, t, j, k, y]] of SAMPLES.entries()) {
    expect(rows[index]).toEqual({ u: u.toLowerCase(), s, i, l, f, b, at: new Date(at), t, j, k, y })
  }
  expect(Object.values(rows.at(-1)!)).toEqual(Array(11).fill(null))
})

test('fractions of a millisecond are cut, towards the past', async () => {
  const writer = new RowWriter()
  for (const at of [1_700_000_000_000.9, -0.1]) write(writer, [newUuid(), 0, 0, 0, 0, true, at, '', null, null, Buffer.alloc(0)])
  const rows = await read(rowArray([writer.take()!]))
  expect(rows.map((row) => (row.at as Date).getTime())).toEqual([1_700_000_000_000, -1])
})

test.each<[string, (values: Values) => void]>([
  ['a smallint', (values) => (values[1] = 32_768)],
  ['a smallint with a fraction', (values) => (values[1] = 1.5)],
  ['an integer', (values) => (values[2] = -(2 ** 31) - 1)],
  ['an integer that is none', (values) => (values[2] = Number.NaN)],
])('%s that does not fit is refused as data, not stored as something else', async (_, spoil) => {
  const writer = new RowWriter()
  const values: Values = [...SAMPLES[0]!]
  spoil(values)
  write(writer, values)
  const refused = await read(rowArray([writer.take()!])).catch((error: unknown) => error)
  expect(sqlState(refused)).toBe('22P03')
  expect(await database.query('select 1 as still')).toEqual([{ still: 1 }])
})

test('arrays of ids and numbers, also empty ones', async () => {
  const ids = [newUuid(), newUuid()]
  const text = 'select $1::uuid[] as ids, $2::integer[] as numbers'
  expect(await database.query(text, [uuidArray(ids), int4Array([1, -2])])).toEqual([{ ids, numbers: [1, -2] }])
  expect(await database.query(text, [uuidArray([]), int4Array([])])).toEqual([{ ids: [], numbers: [] }])
  expect(rowArray([])).toBeNull()
})
