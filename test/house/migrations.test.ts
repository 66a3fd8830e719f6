/** A migration is applied while the release before goes on: what that may not survive is said in the list, with why it does. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { migrations, repeatables } from '../../migrations/list.ts'
import { SCHEMA_LEVEL } from '../../src/release.ts'
import { readKeptRelease } from '../releases/kept-release.ts'
import { sqlOf } from '../releases/sql-of.ts'
import { riskyStatements } from './risky-statements.ts'

/** The level of programs began here: what came before was never applied beside a release. */
const FIRST = '040'

test('a migration that the release before may not survive says why it does, or which programs it ends', async () => {
  for (const migration of migrations.filter(({ name }) => name >= FIRST)) {
    const risks = await riskyStatements(sqlOf(migration))
    const isAnswered = migration.harmless !== undefined || migration.least !== undefined
    expect(isAnswered ? [] : risks, `${migration.name}: docs/operating.md#upgrading says what to do`).toEqual([])
    expect(risks.length > 0 || !isAnswered, `${migration.name} has nothing to be excused for`).toBe(true)
    expect(migration.least ?? 1, `${migration.name} ends programs that SCHEMA_LEVEL.least does not`).toBeLessThanOrEqual(
      SCHEMA_LEVEL.least,
    )
  }
})

const kept = readKeptRelease()

test('a migration that was released never changes', () => {
  const now = new Map(migrations.map((one) => [one.name, createHash('sha256').update(sqlOf(one)).digest('hex')]))
  expect(Object.entries(kept.migrations).filter(([name, sha256]) => now.get(name) !== sha256)).toEqual([])
})

test('a release whose schema differs from that of the release before has a level of its own', () => {
  const texts = repeatables.map((url) => readFileSync(url, 'utf8')).sort()
  const isSame =
    migrations.every(({ name }) => name in kept.migrations) &&
    JSON.stringify(texts) === JSON.stringify(Object.values(kept.repeatables).sort())
  expect(isSame || SCHEMA_LEVEL.level > kept.level, 'raise SCHEMA_LEVEL.level in src/release.ts').toBe(true)
})

test('the list is in the order of its names, and no program is below the first level', () => {
  const names = migrations.map(({ name }) => name)
  expect(names).toEqual([...new Set(names)].sort())
  expect(SCHEMA_LEVEL.least).toBeGreaterThanOrEqual(1)
  expect(SCHEMA_LEVEL.level).toBeGreaterThanOrEqual(SCHEMA_LEVEL.least)
})

test.each([
  ['drop table sluice.flows', 'Drop'],
  ['drop function sluice.claim_offered(uuid, uuid[])', 'Drop'],
  ['drop index sluice.executions_ready', 'Drop'],
  ['truncate sluice.inbox', 'Truncate'],
  ['alter type sluice.start_row_30 add attribute x int', 'never changed'],
  ['alter table sluice.flows rename column name to title', 'Rename'],
  ['alter table sluice.flows rename to flow', 'Rename'],
  ['alter table sluice.flows drop column description', 'AT_DropColumn'],
  ['alter table sluice.flows alter column description set not null', 'AT_SetNotNull'],
  ['alter table sluice.flows alter column version type bigint', 'AT_AlterColumnType'],
  ['alter table sluice.flows add column x int not null', 'cannot insert'],
  ['alter table sluice.flows add column x int check (x > 0)', 'CONSTR_CHECK'],
  ['alter table sluice.flows add column x uuid default gen_random_uuid()', 'no constant'],
  ['alter table sluice.flows add column x int, drop column description', 'AT_DropColumn'],
  ['alter table sluice.flows add constraint x check (version > 2)', 'AT_AddConstraint'],
  ['create index on sluice.executions (version)', 'nobody writes'],
  ['create unique index on sluice.executions (version)', 'not all'],
  ['create trigger t after insert on sluice.flows execute function f()', 'goes through'],
  ['update sluice.executions set version = 2', 'locked'],
  ['delete from sluice.inbox', 'locked'],
  ['revoke select on sluice.flows from sluice_app', 'right'],
  ['create or replace function sluice.f() returns int language sql as $$ select 1 $$', 'repeatables'],
  ['do $$ begin drop table sluice.flows; end $$', 'not known'],
  ['create table sluice.a (id int); drop table sluice.flows', 'Drop'],
])('%s is risky', async (sql, why) => {
  expect(await riskyStatements(sql)).toEqual([expect.stringMatching(why)])
})

test.each([
  'create table sluice.a (id int primary key); create index on sluice.a (id); alter table sluice.a add constraint c check (id > 0); create trigger t after insert on sluice.a execute function f()',
  'alter table sluice.flows add column x int, add column y text not null default 1',
  'create type sluice.row_41 as (id uuid)',
  'grant select on sluice.flows to sluice_app; insert into sluice.a values (1)',
  'create function sluice.f() returns int language sql as $$ select 1 $$',
])('%s is not', async (sql) => {
  expect(await riskyStatements(sql)).toEqual([])
})
