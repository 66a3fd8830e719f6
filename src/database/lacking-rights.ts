/** What the application's role may not do in a database that has its tables, and how that is mended. */

type Ask = <Row>(text: string, params?: readonly unknown[]) => Promise<Row[]>

interface Rights {
  role: string
  enters: boolean
  unread: string[]
  /** the role that the migrations gave its rights, when it is another one and has them */
  other: string | null
}

/** What the schema's comment says of that role; its name follows, in double quotes. */
export const ROLE_NOTE = "The application's role: "

/** Rights are given all together: who may read none of these lacks more. A newer release may have tables that are not for this one. */
const NEEDED = ['executions', 'flows', 'migrations', 'repeatable_migrations', 'schema_level', 'users']

// catalogs, which every role may read
const RIGHTS = `
select quote_ident(who.role) as role, has_schema_privilege(who.role, s.oid, 'USAGE') as enters,
  array(select c.relname::text from pg_class c
    where c.relnamespace = s.oid and c.relname = any ($3) and not has_table_privilege(who.role, c.oid, 'SELECT')
      and not has_any_column_privilege(who.role, c.oid, 'SELECT') order by 1) as unread,
  (select quote_ident(r.rolname) from pg_roles r
    where obj_description(s.oid, 'pg_namespace') = $2 || '"' || replace(r.rolname, '"', '""') || '"'
      and r.rolname <> who.role and has_schema_privilege(r.oid, s.oid, 'USAGE')) as other
from pg_namespace s cross join (select coalesce($1, current_user::text) as role) as who
where s.nspname = 'sluice'
  and exists (select from pg_class c where c.relnamespace = s.oid and c.relname = 'repeatable_migrations')`

export interface FoundRights {
  /** what it waits for, with what mends it; absent: it lacks nothing */
  readonly lacking?: string
}

/** Of `role`, or of whoever asks. Undefined: there are no tables yet. */
export async function findRights(ask: Ask, role?: string): Promise<FoundRights | undefined> {
  const [found] = await ask<Rights>(RIGHTS, [role ?? null, ROLE_NOTE, NEEDED])
  if (!found) return undefined
  const lacking = tellLacking(found)
  return lacking === undefined ? {} : { lacking: `${lacking}. ${remedy(found)}` }
}

function tellLacking({ role, enters, unread }: Rights): string | undefined {
  const what = `rights of the role ${role}, which may not`
  if (!enters) return `${what} use the schema sluice`
  if (unread.length === 0) return undefined
  return `${what} read ${unread.join(', ')} in the schema sluice`
}

function remedy({ role, other }: Rights): string {
  const mend = `As the role that owns the tables (DATABASE_OWNER_URL), and with this DATABASE_URL, run \`sluice migrate\`, which gives it all it needs`
  return other === null ? mend : `${mend}; or connect as ${other}, which has them; or say in SQL: grant ${other} to ${role}`
}
