/** Bringing a database to the schema of this program. */
import { Migration } from '@mikro-orm/migrations'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { migrations, plan, repeatables } from '../../migrations/list.ts'
import { checkMigrations, migrateDatabase } from '../../src/database/migrate.ts'
import type { MigrationPlan } from '../../src/database/migrate.ts'
import { connectionName } from '../../src/database/schema-level.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createLog } from '../../src/log.ts'
import type { TestDatabase } from '../harness/test-database.ts'
import { testDatabase } from '../harness/test-database.ts'

const log = createLog('silent')

const migrate = (
  { ownerConnection }: TestDatabase,
  changed: Partial<MigrationPlan> & { appRole?: string } = {},
): Promise<string[]> =>
  migrateDatabase({ connection: ownerConnection, appRole: 'sluice_app', release: '9.9.9', log, ...plan, ...changed })

const tablesOf = ({ ownerQuery }: TestDatabase): Promise<{ name: string }[]> =>
  ownerQuery<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'sluice'::regnamespace and relkind = 'r' order by 1`,
  )

test('five runs that migrate one empty database at once apply everything once', async () => {
  const fresh = await testDatabase({ migrated: false })
  const applied = await Promise.all(Array.from({ length: 5 }, () => migrate(fresh)))
  const all = [...migrations.map(({ name }) => name), ...repeatables.map((url) => url.pathname.split('/').slice(-2).join('/'))]
  expect(applied.filter(({ length }) => length > 0)).toEqual([all])
  expect(await migrate(fresh)).toEqual([])
})

test('what is pending is told without changing anything, and nothing is after migrating', async () => {
  const fresh = await testDatabase({ migrated: false })
  expect((await checkMigrations(fresh.database, plan)).pending).toEqual(migrations.map(({ name }) => name))
  expect(await fresh.ownerQuery(`select from pg_namespace where nspname = 'sluice'`)).toEqual([])
  await migrate(fresh)
  expect(await checkMigrations(fresh.database, plan)).toEqual({ pending: [], unknown: [] })
})

test('a database that a newer program migrated is recognised, and left as it is', async () => {
  const migrated = await testDatabase()
  await migrate(migrated, { migrations: [...migrations, { name: '999-later', class: Later }] })
  expect(await checkMigrations(migrated.database, plan)).toEqual({ pending: [], unknown: ['999-later'] })
  await expect(migrate(migrated)).rejects.toThrow(/a newer release .*999-later/)
})

const next = { level: plan.schemaLevel.level + 1, least: plan.schemaLevel.level }

test('an older program goes on at a database that a newer one migrated, and leaves its functions alone', async () => {
  const migrated = await testDatabase()
  const file = await sqlFile('newer.sql', `create or replace function sluice.newer() returns int language sql as 'select 2'`)
  const newer = {
    migrations: [...migrations, { name: '999-later', class: Later }],
    repeatables: [...repeatables, file.url],
    schemaLevel: next,
  }
  await migrate(migrated, newer)
  await file.write(`create or replace function sluice.newer() returns int language sql as 'select 1'`)
  expect(await migrate(migrated, { repeatables: [...repeatables, file.url] })).toEqual([])
  expect(await migrated.ownerQuery('select sluice.newer() as value')).toEqual([{ value: 2 }])
  expect(await checkMigrations(migrated.database, plan)).toEqual({ pending: [], unknown: ['999-later'] })
})

test('an older program that the schema does not serve is told what to do, at the start and while it runs; so is who migrates while it runs', async () => {
  const migrated = await testDatabase()
  const ended = { ...next, least: next.level }
  const older = await openDatabase({
    ...{ connection: migrated.connection, entities: [], poolSize: 1, log },
    name: connectionName(plan.schemaLevel),
  })
  await expect(migrate(migrated, { schemaLevel: ended })).rejects.toThrow(
    /older processes: some of level \d+ use the database.* serves programs from level \d+ on\. End them/,
  )
  expect(await checkMigrations(migrated.database, plan)).toEqual({ pending: [], unknown: [] })
  await older.close()
  await expect.poll(() => migrate(migrated, { schemaLevel: ended })).toEqual([])
  const told = /a newer release: 9\.9\.9 has brought the database to level \d+.* Start 9\.9\.9, or restore/
  await expect(migrate(migrated)).rejects.toThrow(told)
  expect((await checkMigrations(migrated.database, plan)).tooOld).toMatch(told)
})

test('a migration that fails takes back those before it, and the next try applies all', async () => {
  const fresh = await testDatabase({ migrated: false })
  await expect(migrate(fresh, { migrations: [...migrations, { name: '999-broken', class: Broken }] })).rejects.toThrow(/absent/)
  expect(await tablesOf(fresh)).toEqual([{ name: 'migrations' }])
  expect((await migrate(fresh)).length).toBeGreaterThan(migrations.length - 1)
})

test('migrations take as long as they need, whatever limits their role has', async () => {
  const migrated = await testDatabase()
  await migrated.ownerQuery(`do $$ declare name text; begin
    foreach name in array array['statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout'] loop
      execute format('alter role %I in database %I set %I = 50', current_user, current_database(), name);
    end loop;
  end $$`)
  expect(await migrate(migrated, { migrations: [...migrations, { name: '999-slow', class: Slow }] })).toEqual(['999-slow'])
})

test('repeatable SQL is applied when its text changed, all or nothing', async () => {
  const migrated = await testDatabase()
  const { ownerQuery } = migrated
  const first = await sqlFile('first.sql', `create or replace function sluice.first() returns int language sql as 'select 1'`)
  const second = await sqlFile('second.sql', `create or replace function sluice.second() returns int language sql as 'select 1'`)
  const changed = { repeatables: [...repeatables, first.url, second.url] }
  expect(await migrate(migrated, changed)).toEqual([first.name, second.name])
  expect(await migrate(migrated, changed)).toEqual([])

  await first.write(`create or replace function sluice.first() returns int language sql as 'select 2'`)
  expect((await checkMigrations(migrated.database, { ...plan, ...changed })).pending).toEqual([first.name])
  await second.write('create or replace function nonsense')
  await expect(migrate(migrated, changed)).rejects.toThrow(new RegExp(`${second.name} could not be applied`))
  expect(await ownerQuery('select sluice.first() as value')).toEqual([{ value: 1 }])

  await second.write(`create or replace function sluice.second() returns int language sql as 'select 2'`)
  expect(await migrate(migrated, changed)).toEqual([first.name, second.name])
  expect(await ownerQuery('select sluice.first() + sluice.second() as value')).toEqual([{ value: 4 }])
})

test('the application may connect as a role of any name (D1)', async () => {
  const fresh = await testDatabase({ migrated: false })
  // The owner itself is the only other role here that this test may name; a quoted name proves the quoting.
  await migrate(fresh, { appRole: 'sluice_owner' })
  const [grants] = await fresh.ownerQuery<{ app: boolean }>(
    `select has_table_privilege('sluice_app', 'sluice.audit_events', 'select') as app`,
  )
  expect(grants).toEqual({ app: false })
  await expect(migrate(await testDatabase({ migrated: false }), { appRole: 'no"such role' })).rejects.toThrow(/no"such role/)
})

class Later extends Migration {
  override up(): void {
    this.addSql('create table sluice.later (id int)')
  }
}

class Slow extends Migration {
  override up(): void {
    this.addSql('select pg_sleep(0.1)')
  }
}

class Broken extends Migration {
  override up(): void {
    this.addSql('create table sluice.before (id int)')
    this.addSql('alter table sluice.absent add column x int')
  }
}

async function sqlFile(file: string, text: string): Promise<{ url: URL; name: string; write(text: string): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-sql-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const path = join(directory, file)
  const write = (changed: string): Promise<void> => writeFile(path, changed)
  await write(text)
  return { url: pathToFileURL(path), name: path.split('/').slice(-2).join('/'), write }
}

test('a database that was migrated for another role gives its own all it needs: no right more, none less (D1)', async () => {
  const fresh = await testDatabase({ migrated: false })
  const rightsOf = async (role: string) =>
    fresh.ownerQuery(
      `select relname::text as name, privilege_type as privilege from pg_class, aclexplode(relacl)
         where relnamespace = 'sluice'::regnamespace and grantee = $1::regrole
       union all select p.oid::regprocedure::text, privilege_type from pg_proc p, aclexplode(proacl)
         where pronamespace = 'sluice'::regnamespace and grantee = $1::regrole
       union all select relname || '.' || attname, privilege_type from pg_attribute a join pg_class c on c.oid = attrelid, aclexplode(attacl)
         where relnamespace = 'sluice'::regnamespace and grantee = $1::regrole order by 1, 2`,
      [role],
    )
  await migrate(fresh, { appRole: 'pg_monitor' })
  const wanted = await rightsOf('pg_monitor')
  expect(wanted.length).toBeGreaterThan(50)
  expect(await rightsOf('sluice_app')).toEqual([])
  expect(await migrate(fresh)).toEqual([])
  expect(await rightsOf('sluice_app')).toEqual(wanted)
  await fresh.database.query('select from sluice.schema_level')
})

test('a role without its rights is told which it lacks, and what mends that; migrating does (D1)', async () => {
  const fresh = await testDatabase({ migrated: false })
  const lacking = async () => (await checkMigrations(fresh.database, plan)).lacking
  await migrate(fresh, { appRole: 'pg_monitor' })
  expect(await lacking()).toBe(
    'rights of the role sluice_app, which may not use the schema sluice. As the role that owns the tables (DATABASE_OWNER_URL), and ' +
      'with this DATABASE_URL, run `sluice migrate`, which gives it all it needs; or connect as pg_monitor, which has them; or say in ' +
      'SQL: grant pg_monitor to sluice_app',
  )
  await migrate(fresh)
  expect(await lacking()).toBeUndefined()
  // as after `pg_restore --no-privileges`
  await fresh.ownerQuery('revoke all on all tables in schema sluice from sluice_app')
  expect(await lacking()).toMatch(
    /^rights of the role sluice_app, which may not read executions, flows, migrations, .* in the schema sluice\./,
  )
  await fresh.ownerQuery('revoke usage on schema sluice from sluice_app')
  expect(await lacking()).toMatch(/may not use the schema sluice\..*run `sluice migrate`/)
  expect(await migrate(fresh)).toEqual([])
  expect(await checkMigrations(fresh.database, plan)).toEqual({ pending: [], unknown: [] })
  await fresh.database.query('select from sluice.flows')
})
