/** Puts what was kept of a release into an empty database: the schema as that release made it, and its rows. */
import { createHash } from 'node:crypto'
import type { Client } from 'pg'
import { migrations } from '../../migrations/list.ts'
import type { KeptRelease } from './kept-release.ts'
import { sqlOf } from './sql-of.ts'

/** As MikroORM makes it, whatever release does. */
const MIGRATIONS_TABLE = `create schema if not exists sluice;
create table sluice.migrations (id serial primary key, name varchar(255) not null, executed_at timestamptz not null default current_timestamp)`

/** `server`: as a superuser, in that database. What that release did is not done by what this one would do instead. */
export async function restoreRelease(server: Client, kept: KeptRelease): Promise<void> {
  await server.query('set role sluice_owner')
  await server.query(MIGRATIONS_TABLE)
  for (const migration of migrations.filter(({ name }) => name in kept.migrations)) {
    await server.query(sqlOf(migration))
    await server.query('insert into sluice.migrations (name) values ($1)', [migration.name])
  }
  for (const [name, text] of Object.entries(kept.repeatables)) {
    await server.query(text)
    const sha256 = createHash('sha256').update(text).digest('hex')
    await server.query('insert into sluice.repeatable_migrations (name, sha256) values ($1, $2)', [name, sha256])
  }
  if ('040-upgrade' in kept.migrations)
    await server.query('insert into sluice.schema_level (level, least, release) values ($1, 1, $2)', [kept.level, kept.release])
  await server.query('reset role')
  // as the ids say, from before the oldest partition that was made now
  for (const parent of ['step_runs', 'events'])
    await server.query(`do $$ begin execute format('create table sluice.${parent}_kept partition of sluice.${parent} for values from (%L) to (%L)',
      '00000000-0000-0000-0000-000000000000', sluice.week_start_uuid(date_trunc('week', now(), 'UTC') - interval '7 days')); end $$`)
  await server.query('set session_replication_role = replica')
  for (const [table, rows] of Object.entries(kept.tables)) {
    await server.query(`delete from sluice.${table}`)
    await server.query(
      `insert into sluice.${table} overriding system value select * from json_populate_recordset(null::sluice.${table}, $1)`,
      [rows],
    )
  }
  await server.query('set session_replication_role = origin')
  await server.query('update sluice.commit_log set at = now()')
  await countTransactions(server)
}

/** The audit log and feeds go by transactions: this cluster has counted as many. */
async function countTransactions(server: Client): Promise<void> {
  const { rows } = await server.query<{ behind: number }>(
    `select greatest(0, max(xid) - pg_snapshot_xmax(pg_current_snapshot())::text::bigint)::int as behind from (
       select xid::text::bigint as xid from sluice.audit_events union all select xid::text::bigint from sluice.commit_log
       union all select changed_xid::text::bigint from sluice.agent_requests) as known`,
  )
  await server.query(
    `do $$ begin for i in 1..${rows[0]!.behind + 10} loop perform pg_current_xact_id(); commit; end loop; end $$`,
  )
}
