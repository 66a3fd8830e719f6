/** What the application's role can do to the database: use it. Everything else is tried here (D1). */
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { checkServer, requireSafeServer } from '../../src/database/check-server.ts'
import { openDatabase } from '../../src/database/database.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from '../harness/test-database.ts'
import { onDatabase } from '../harness/urls.ts'

const { database, connection, ownerQuery, name } = await testDatabase()
const app = new Client({ connectionString: connection })
beforeAll(() => app.connect())
afterAll(() => app.end())

interface Table {
  name: string
  columns: string[]
}
const TABLES = await ownerQuery<Table>(
  `select c.relname::text as name, array(select attname::text from pg_attribute where attrelid = c.oid and attnum > 0 order by attnum) as columns
   from pg_class c where relnamespace = 'sluice'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1`,
)
const AUDIT = TABLES.filter((table) => table.name.startsWith('audit'))
/** written by migrations alone */
const REMEMBERED = TABLES.filter((table) => table.name.endsWith('migrations'))

const INSUFFICIENT_PRIVILEGE = '42501'

/** What each statement was answered, by the application's role, each in a transaction that is rolled back. */
async function tried(statements: readonly string[]): Promise<{ statement: string; answer: string }[]> {
  const answers = []
  for (const statement of statements) {
    await app.query('begin')
    const answer = await app.query(statement).then(
      () => 'done',
      (error: { code: string; message: string }) =>
        error.code === INSUFFICIENT_PRIVILEGE ? 'refused' : `${error.code} ${error.message}`,
    )
    await app.query('rollback')
    answers.push({ statement, answer })
  }
  return answers
}
async function expectRefused(statements: readonly string[]): Promise<void> {
  expect(statements.length).toBeGreaterThan(0)
  expect((await tried(statements)).filter(({ answer }) => answer !== 'refused')).toEqual([])
}

test('there are tables, and the application is nobody special (D1)', async () => {
  expect(TABLES.length).toBeGreaterThan(15)
  expect(AUDIT.length).toBeGreaterThan(0)
  const { rows } = await app.query(
    `select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as special,
       exists (select from pg_auth_members where member = r.oid) as member from pg_roles r where rolname = current_user`,
  )
  expect(rows).toEqual([{ special: false, member: false }])
})

test('it alters and drops no table (D1)', async () => {
  await expectRefused(
    TABLES.flatMap((table) => [
      `alter table sluice.${table.name} add column planted text`,
      `alter table sluice.${table.name} drop column "${table.columns[0]}" cascade`,
      `alter table sluice.${table.name} alter column "${table.columns.at(-1)}" drop not null`,
      `alter table sluice.${table.name} disable trigger all`,
      `alter table sluice.${table.name} owner to current_user`,
      `alter table sluice.${table.name} rename to planted`,
      `alter table sluice.${table.name} set (autovacuum_enabled = false)`,
      `alter table sluice.${table.name} disable row level security`,
      `create index on sluice.${table.name} ("${table.columns[0]}")`,
      `create rule planted as on insert to sluice.${table.name} do instead nothing`,
      `create trigger planted before insert on sluice.${table.name} for each row execute function suppress_redundant_updates_trigger()`,
      `drop table sluice.${table.name} cascade`,
      `truncate sluice.${table.name} cascade`,
    ]),
  )
})

test('it changes and removes no row of the audit log, nor what the database remembers of migrations (C7, D1)', async () => {
  const rewriting = ({ name: table, columns: [first] }: Table): string[] => [
    `update sluice.${table} set "${first}" = "${first}"`,
    `delete from sluice.${table}`,
    `merge into sluice.${table} t using (select 1) s on true when matched then delete`,
    `select * from sluice.${table} for update`,
    `select * from sluice.${table} for no key update`,
    `lock table sluice.${table} in exclusive mode`,
  ]
  await expectRefused([...AUDIT, ...REMEMBERED].flatMap(rewriting))
  await expectRefused(REMEMBERED.map((table) => `insert into sluice.${table.name} default values`))
  await expectRefused([
    `insert into sluice.audit_events select * from sluice.audit_events on conflict (id) do update set type = 'x'`,
  ])
})

test('of a security event it tells how often it happened and whether somebody was told; it removes none that is not old (C8, D1)', async () => {
  await expectRefused([
    'delete from sluice.security_events',
    'merge into sluice.security_events t using (select 1) s on true when matched then delete',
    ...['id', 'kind', 'severity', 'subject_kind', 'subject', 'window_at', 'first_at'].map(
      (column) => `update sluice.security_events set ${column} = ${column}`,
    ),
  ])
  await ownerQuery(
    `insert into sluice.security_events (id, kind, severity, subject_kind, subject, window_at, count, first_at, last_at)
     values (gen_random_uuid(), 'X', 'WARNING', 'USER', 'u', now(), 1, now(), now())`,
  )
  await app.query(`update sluice.security_events set count = 2, last_at = now() - interval '10 years'`)
  expect((await app.query('select sluice.remove_security_events(10) as removed')).rows).toEqual([{ removed: 0 }])
  expect((await app.query('select count from sluice.security_events')).rows).toEqual([{ count: '2' }])
  await ownerQuery('delete from sluice.security_events')
})

test('it makes nothing of its own (D1)', async () => {
  await expectRefused([
    'create table sluice.planted (id int)',
    'create table public.planted (id int)',
    'create temporary table planted (id int)',
    'create table planted as select 1',
    'select 1 as one into planted',
    'create view sluice.planted as select 1',
    'create materialized view sluice.planted as select 1',
    'create sequence sluice.planted',
    'create type sluice.planted as (a int)',
    `create function sluice.planted() returns int language sql as 'select 1'`,
    `create or replace function sluice.ensure_partitions(weeks_ahead integer) returns integer language sql as 'select 1'`,
    `create function public.planted() returns int language sql security definer as 'select 1'`,
    'create schema planted',
    'create schema authorization current_user',
    'create role planted superuser',
    'create extension dblink',
    'create language plperlu',
    'create publication planted for all tables',
    `create subscription planted connection 'host=localhost' publication p with (connect = false)`,
    'create event trigger planted on ddl_command_start execute function sluice.check_execution_transition()',
    'create foreign data wrapper planted',
  ])
})

test('it takes no other rights: no role, no setting, no file, no program (D1)', async () => {
  await expectRefused([
    'set role sluice_owner',
    'set session authorization sluice_owner',
    'set local session_replication_role = replica',
    `alter role sluice_app superuser`,
    'alter role sluice_owner password null',
    'grant sluice_owner to sluice_app',
    `alter role sluice_app set log_statement = 'all'`,
    `set local log_min_messages = 'debug5'`,
    `set local log_statement = 'all'`,
    `select set_config('log_min_error_statement', 'error', true)`,
    `alter database ${name} set session_replication_role = replica`,
    'alter schema sluice rename to planted',
    'alter function sluice.refuse_audit_change() owner to current_user',
    'drop function sluice.refuse_audit_change() cascade',
    'drop trigger audit_events_immutable on sluice.audit_events',
    'reassign owned by sluice_owner to sluice_app',
    'select rolpassword from pg_authid',
    `select pg_read_file('/etc/hostname')`,
    `select pg_ls_dir('.')`,
    `select lo_import('/etc/hostname')`,
    `copy sluice.users to '/tmp/planted'`,
    `copy sluice.users from program 'id'`,
    `copy (select 1) to program 'id'`,
    'select pg_reload_conf()',
    'select pg_switch_wal()',
    `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'`,
    'checkpoint',
    `load 'plpgsql'`,
    `comment on table sluice.users is 'planted'`,
  ])
  // not inside of a transaction
  for (const statement of ['alter system set log_statement = default', 'create database planted', 'drop database template1'])
    await expect(app.query(statement), statement).rejects.toMatchObject({ code: INSUFFICIENT_PRIVILEGE })
})

test('what it grants to others gives them nothing (D1)', async () => {
  const acls = `select string_agg(relacl::text, ' ' order by oid) as acls from pg_class where relnamespace = 'sluice'::regnamespace`
  await app.query('begin')
  const before = (await app.query(acls)).rows
  for (const table of TABLES) await app.query(`grant all on sluice.${table.name} to public`)
  expect((await app.query(acls)).rows).toEqual(before)
  await app.query('rollback')
})

test('functions that run with the rights of the owner are fixed to where they look things up, and few may enter (D1)', async () => {
  const loose = await ownerQuery<{ name: string }>(
    `select proname::text as name from pg_proc where pronamespace = 'sluice'::regnamespace and prosecdef
     and not coalesce(proconfig::text ~ 'search_path=pg_catalog', false)`,
  )
  expect(loose).toEqual([])
  const [schema] = await ownerQuery<{ open: boolean }>(
    `select coalesce(bool_or(grantee = 0), false) as open from pg_namespace, aclexplode(nspacl) where nspname = 'sluice'`,
  )
  expect(schema).toEqual({ open: false })
})

test('the rows that it does write are checked by the database too: states, shapes, transitions (D1)', async () => {
  await expect(app.query(`insert into sluice.auth_changes (subject) values ($1)`, ['everybody'])).rejects.toMatchObject({
    code: '23514',
  })
  await expect(
    app.query(
      `insert into sluice.users (id, email, handle, name, role, password_hash) values ($1, 'a@b.c', 'a', 'a', 'ROOT', '')`,
      [newUuid()],
    ),
  ).rejects.toMatchObject({ code: '23514' })
})

describe('the server is asked at start', () => {
  const ask = async (url: string): Promise<string[]> => {
    const opened = await openDatabase({ connection: url, entities: [], poolSize: 2, log: createLog('silent') })
    onTestFinished(() => opened.close())
    return (await checkServer(opened)).map(({ text, certain }) => `${certain ? 'unsafe' : 'unwise'}: ${text}`)
  }

  test('the embedded one has no faults (D1, D6)', async () => {
    expect(await checkServer(database)).toEqual([])
  })

  test('a role that owns the tables, or is a superuser, is found (D1)', async () => {
    const { superuser, owner } = inject('cluster')
    const owning = await ask(onDatabase(owner, name))
    expect(owning).toEqual([
      expect.stringMatching(
        /^unsafe: The application's role sluice_owner can alter or drop the tables, create objects in .*change rows of audit_checkpoints, audit_events, audit_seals/,
      ),
    ])
    expect((await ask(onDatabase(superuser, name))).join()).toMatch(
      /unsafe: .* postgres can do everything \(superuser\), create roles, /,
    )
  })

  test('in production it does not start on what is beyond doubt unsafe; elsewhere it says so (B13, D1)', async () => {
    const url = onDatabase(inject('cluster').owner, name)
    const opened = await openDatabase({ connection: url, entities: [], poolSize: 2, log: createLog('silent') })
    onTestFinished(() => opened.close())
    const lines: string[] = []
    const log = createLog('warn', { write: (line) => void lines.push(line) })
    await expect(requireSafeServer(opened, { production: true, log })).rejects.toThrow(
      /not safe for production:\n {2}- .*sluice_owner/,
    )
    expect(lines).toEqual([])
    await requireSafeServer(opened, { production: false, log })
    expect(lines.join()).toMatch(/the database server could be safer/)
    await requireSafeServer(database, { production: true, log })
    expect(lines).toHaveLength(1)
  })

  test('a log that would keep values is found, each setting with its remedy (C6, D1)', async () => {
    const settings = {
      log_statement: 'all',
      log_min_duration_statement: '250',
      log_min_duration_sample: '0',
      log_parameter_max_length: '-1',
      log_parameter_max_length_on_error: '-1',
      log_min_error_statement: 'error',
      log_min_messages: 'warning',
      log_error_verbosity: 'verbose',
    }
    const server = new Client({ connectionString: onDatabase(inject('cluster').superuser, name) })
    await server.connect()
    onTestFinished(() => server.end())
    for (const [setting, value] of Object.entries(settings))
      await server.query(`alter role sluice_app in database ${name} set ${setting} = '${value}'`)
    const faults = await ask(connection)
    await server.query(`alter role sluice_app in database ${name} reset all`)
    const about = (setting: string): string | undefined => faults.find((text) => text.includes(` ${setting} = `))
    for (const setting of Object.keys(settings).filter((key) => key !== 'log_parameter_max_length'))
      expect(about(setting), setting).toBeDefined()
    expect(about('log_statement')).toBe(
      `unsafe: PostgreSQL's log may keep values that people sent: as a superuser, alter role sluice_app set log_statement = 'none'.`,
    )
    expect(about('log_parameter_max_length_on_error')).toMatch(/^unsafe/)
    expect(about('log_error_verbosity')).toMatch(/^unwise/)
    expect(await ask(connection)).toEqual([])
  })
})
