import fc from 'fast-check'
import { scanSync } from 'libpg-query'
import { describe, expect, test } from 'vitest'
import { checkSql, MAX_SQL_LENGTH } from '../../../src/language/sql/sql-guard.ts'
import { loadSqlParser } from '../../../src/language/sql/sql-parser.ts'
import { testDatabase } from '../../harness/test-database.ts'
import { ACCEPTED, REFUSED, TABLES } from './corpus.ts'

await loadSqlParser()

const parametersOf = (sql: string): number => Math.max(0, ...[...sql.matchAll(/\$(\d)\b/g)].map(([, number]) => Number(number)))
const messagesOf = (sql: string, parameters = parametersOf(sql)): string[] =>
  checkSql(sql, parameters).map(({ message }) => message)

test.each(ACCEPTED)('%j is accepted (C4)', (sql, parameters) => {
  expect(checkSql(sql, parameters)).toEqual([])
})

describe.each(Object.entries(REFUSED))('%s (C4)', (_, cases) => {
  test.each(cases)('%j is refused: %s', (sql, message) => {
    expect(messagesOf(sql)).toContainEqual(expect.stringContaining(message))
  })
})

test('PostgreSQL takes every statement that is accepted', async () => {
  const { ownerQuery } = await testDatabase({ migrated: false })
  await ownerQuery(TABLES)
  for (const [sql, parameters] of ACCEPTED) {
    await ownerQuery(`prepare accepted as ${sql.replace(/;$/, '')}`)
    const [prepared] = await ownerQuery<{ n: number }>('select cardinality(parameter_types) as n from pg_prepared_statements')
    expect(prepared, sql).toEqual({ n: parameters })
    await ownerQuery('deallocate accepted')
  }
})

test('every problem is told at once, each with its place, and hints help', () => {
  expect(checkSql('select cuont(*), "ü", now() from pg_user where a = \'x\' and b = $3', 1)).toEqual([
    { code: 'FORBIDDEN_SQL', message: 'values are not written into SQL (at character 52)', hint: expect.stringContaining('$1') },
    { code: 'FORBIDDEN_SQL', message: 'the function cuont() is not allowed (at character 8)', hint: 'did you mean "count"?' },
    {
      code: 'FORBIDDEN_SQL',
      message: 'the function now() is not allowed (at character 23)',
      hint: expect.stringContaining('parameter'),
    },
    { code: 'FORBIDDEN_SQL', message: "PostgreSQL's own tables are not read (at character 34)" },
    { code: 'INVALID_SQL', message: 'params has 1, but $1 is not in the SQL' },
    { code: 'INVALID_SQL', message: '$3 has no value: params has 1' },
  ])
})

test('messages quote only short pieces of what was sent', () => {
  const problems = checkSql(`select ${'f'.repeat(5_000)}($1)`, 1)
  expect(problems).toHaveLength(1)
  expect(JSON.stringify(problems).length).toBeLessThan(400)
})

const vocabulary = fc.constantFrom(
  ...`select from where with recursive as ( ) , ; . * $1 $2 null true t a b pg_class = + ~ :: int text union all limit order by group
    having over partition case when then else end not and or in exists into for update delete insert returning values table count
    pg_sleep 'x' 1 -- /* */ array [ ] row cast interval current_user distinct on join lateral window filter " $$ U& \\ { } ? : := =>`
    .split(/\s+/)
    .filter(Boolean),
)

test('checking never throws, whatever the text', () => {
  const soup = fc.array(vocabulary, { maxLength: 60 }).map((words) => words.join(' '))
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: 'binary', maxLength: 200 })), (sql) => {
      for (const { message } of checkSql(sql, 2)) expect(message.length).toBeLessThan(300)
    }),
    { numRuns: 200 },
  )
})

test('the deepest and longest texts are read within bounds, again and again', () => {
  const fill = (before: string, piece: string, middle: string, after = ''): string => {
    const times = Math.floor((MAX_SQL_LENGTH - before.length - middle.length) / (piece.length + after.length))
    return before + piece.repeat(times) + middle + after.repeat(times)
  }
  const texts = [
    fill('select ', 'not ', 'a'),
    fill('select ', '- ', 'a'),
    fill('select a', '+a', ''),
    fill('select ', 'case when ', 'a', ' then a end'),
    fill('select a', ' union select a', ''),
    fill('select a', ',a', ''),
    fill('select ', 'a.', 'a'),
    fill('', '/*', ' select a', '*/'),
    fill('select a', '::int', ''),
    fill('select a', '[$1]', ''),
    fill('select a from t', ' join t', '', ' on a'),
    fill('', 'with a as ', 'select a'),
    fill('select a is null', ' is null', ''),
  ]
  for (let round = 0; round < 2; round++) for (const text of texts) expect(checkSql(text, 1).length).toBeLessThanOrEqual(10)
  // the parser is as it was
  expect(checkSql('select a from t where b = $1', 1)).toEqual([])
})

const column = fc.constantFrom('a', 't.b', '"C d"', 'null', 'true', '$1')
const expression = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    column,
    fc
      .tuple(tie('value'), fc.constantFrom('+', '=', '||', '->>', 'and', 'is distinct from', '<->'), tie('value'))
      .map(([l, o, r]) => `(${l} ${o} ${r})`),
    fc.tuple(fc.constantFrom('lower', 'count', 'coalesce', 'greatest', 'array_agg'), tie('value')).map(([f, v]) => `${f}(${v})`),
    tie('value').map((v) => `${v}::text`),
    tie('value').map((v) => `case when ${v} then ${v} end`),
    tie('value').map((v) => `exists (select ${v} from t where ${v} is not null)`),
  ),
})).value
const statement = fc
  .record({
    columns: fc.array(expression, { minLength: 1, maxLength: 3 }),
    where: expression,
    last: fc.constantFrom('', ';', ' limit $1', ' order by a desc'),
  })
  .map(({ columns, where, last }) => `select ${columns.join(', ')} from t where ${where} or $1${last}`)

test('whatever is built of allowed parts is accepted, and refused once one part is not (C4, D3)', () => {
  const hostile = fc.constantFrom(
    "'x'",
    '1',
    '/* x */',
    'pg_sleep($1)',
    '(a).f',
    'a ~ b',
    'current_user',
    '$1::regclass',
    '(select a from pg_class)',
  )
  fc.assert(
    fc.property(statement, hostile, fc.nat(), (sql, part, at) => {
      fc.pre(sql.length < 2_000 && sql.split('from t').length < 30)
      expect(checkSql(sql, 1)).toEqual([])
      // in the place of any column
      const places = scanSync(sql).tokens.filter(({ text }) => ['a', '$1', 'null'].includes(text))
      const { start, end } = places[at % places.length]!
      const changed = Buffer.from(sql)
      const text = Buffer.concat([
        changed.subarray(0, start),
        Buffer.from(` ${part} `),
        changed.subarray(end),
        Buffer.from(''),
      ]).toString()
      expect(checkSql(text, text.includes('$1') ? 1 : 0)).not.toEqual([])
    }),
    { numRuns: 200 },
  )
})
