/** What a role that flows read with should not be able to do: the guard of SQL stands before it, its rights are the second wall. */
import type { Pool } from 'pg'

interface Facts {
  role: string
  superuser: boolean
  powers: string[]
  writes: boolean
  sluice: boolean
}

/** Sentences, each with what to do; none when the role can read alone. */
export async function faultsOfSource(pool: Pick<Pool, 'query'>): Promise<string[]> {
  const { rows } = await pool.query<Facts>(FACTS)
  const { role, superuser, powers, writes, sluice } = rows[0]!
  const can = [
    ...(superuser ? ['do everything (superuser)'] : powers),
    ...(writes && !superuser ? ['write to tables'] : []),
    ...(sluice && !superuser ? ["read Sluice's own tables"] : []),
  ]
  if (can.length === 0) return []
  return [
    `Its role ${role} can ${can.join(', ')}. Give it a role of its own that may select from what flows need, and nothing else.`,
  ]
}

const FACTS = `
select quote_ident(current_user) as role, r.rolsuper as superuser,
  array_remove(array[
    case when r.rolcreaterole then 'create roles' end,
    case when r.rolcreatedb then 'create databases' end,
    case when r.rolreplication then 'replicate' end,
    case when r.rolbypassrls then 'bypass row security' end] || array(
      select 'act as ' || g.rolname from pg_roles g
      where g.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_write_all_data', 'pg_read_all_settings')
        and pg_has_role(g.oid, 'MEMBER')), null) as powers,
  exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'f') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
      and has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')) as writes,
  coalesce(has_schema_privilege(to_regnamespace('sluice'), 'USAGE'), false) as sluice
from pg_roles r where r.rolname = current_user`
