/** What an operator's own PostgreSQL may do wrong: an application role that can do too much, a log that keeps values, no TLS (D1, D6). */
import type { Logger } from '../log.ts'
import type { Database } from './database.ts'

export interface ServerFault {
  /** a sentence, with what to do */
  readonly text: string
  /** beyond doubt unsafe: production does not start. Else it depends on what the operator does with the server's log. */
  readonly certain: boolean
}

interface Facts {
  role: string
  powers: string[]
  owns: boolean
  creates: boolean
  rewrites: string[]
  over_network: boolean
  encrypted: boolean
  statements: string
  parameter_bytes: number
  parameter_bytes_on_error: number
  slower_than_ms: number
  sampled_slower_than_ms: number
  error_statements: string
  messages: string
  verbosity: string
  audits_parameters: boolean
  explains_slower_than_ms: number
}

/**
 * Asks the server as the application's role. Bind parameters and the text of errors hold what people sent; a name such as
 * `log_statement` is a setting of PostgreSQL: https://www.postgresql.org/docs/18/runtime-config-logging.html
 */
export async function checkServer(database: Pick<Database, 'query'>): Promise<ServerFault[]> {
  const [facts] = await database.query<Facts>(FACTS)
  return facts ? [...faultsOfRole(facts), ...faultsOfConnection(facts), ...faultsOfLog(facts)] : []
}

/** Throws in production when the server is beyond doubt unsafe; else says what could be better. */
export async function requireSafeServer(
  database: Pick<Database, 'query'>,
  { production, log }: { production: boolean; log: Logger },
): Promise<void> {
  const faults = await checkServer(database)
  const unsafe = faults.filter(({ certain }) => certain)
  if (production && unsafe.length > 0)
    throw new Error(`the database is not safe for production:\n${unsafe.map(({ text }) => `  - ${text}`).join('\n')}`)
  if (faults.length > 0) log.warn({ problems: faults.map(({ text }) => text) }, 'the database server could be safer')
}

function faultsOfRole({ role, powers, owns, creates, rewrites }: Facts): ServerFault[] {
  const can = [
    ...powers,
    ...(owns ? ['alter or drop the tables'] : []),
    ...(creates ? ['create objects in the schema sluice'] : []),
    ...(rewrites.length > 0 ? [`change rows of ${rewrites.join(', ')}`] : []),
  ]
  if (can.length === 0) return []
  const remedy = 'Connect as a role of its own (DATABASE_URL), and migrate as the one that owns the tables (DATABASE_OWNER_URL).'
  return [{ text: `The application's role ${role} can ${can.join(', ')}. ${remedy}`, certain: true }]
}

// Production refuses such a URL (config/settings.ts). A port published from a container looks like this too.
function faultsOfConnection({ over_network, encrypted }: Facts): ServerFault[] {
  if (!over_network || encrypted) return []
  return [
    {
      text: 'The connection to PostgreSQL goes over the network without TLS. Add sslmode=verify-full to DATABASE_URL.',
      certain: false,
    },
  ]
}

function faultsOfLog(facts: Facts): ServerFault[] {
  const keepsParameters = facts.parameter_bytes !== 0
  const wrong: { setting: string; better: string; certain: boolean; when: boolean }[] = [
    { setting: 'log_statement', better: 'none', certain: keepsParameters, when: /^(mod|all)$/.test(facts.statements) },
    {
      setting: 'log_min_duration_statement',
      better: '-1',
      certain: facts.slower_than_ms === 0 && keepsParameters,
      when: facts.slower_than_ms >= 0,
    },
    { setting: 'log_min_duration_sample', better: '-1', certain: false, when: facts.sampled_slower_than_ms >= 0 },
    { setting: 'log_parameter_max_length_on_error', better: '0', certain: true, when: facts.parameter_bytes_on_error !== 0 },
    { setting: 'pgaudit.log_parameter', better: 'off', certain: true, when: facts.audits_parameters },
    { setting: 'auto_explain.log_min_duration', better: '-1', certain: false, when: facts.explains_slower_than_ms >= 0 },
    // errors say `invalid input syntax for type uuid: "..."`, their details `Key (email)=(...) already exists`, their statement the rest
    ...(/^(fatal|panic|log)$/.test(facts.messages)
      ? []
      : [
          {
            setting: 'log_min_error_statement',
            better: 'panic',
            certain: false,
            when: !/^(fatal|panic|log)$/.test(facts.error_statements),
          },
          { setting: 'log_min_messages', better: 'fatal', certain: false, when: true },
          { setting: 'log_error_verbosity', better: 'terse', certain: false, when: facts.verbosity !== 'terse' },
        ]),
  ]
  return wrong
    .filter(({ when }) => when)
    .map(({ setting, better, certain }) => ({
      text: `PostgreSQL's log may keep values that people sent: as a superuser, alter role ${facts.role} set ${setting} = '${better}'.`,
      certain,
    }))
}

const AUDIT_TABLES = `select c.oid, c.relname from pg_class c
  where c.relnamespace = to_regnamespace('sluice') and c.relkind in ('r', 'p') and c.relname like 'audit%'`

// A setting of an extension that is not loaded is null.
const FACTS = `
select quote_ident(current_user) as role,
  array_remove(array[
    case when r.rolsuper then 'do everything (superuser)' end,
    case when r.rolcreaterole then 'create roles' end,
    case when r.rolcreatedb then 'create databases' end,
    case when r.rolreplication then 'replicate' end,
    case when r.rolbypassrls then 'bypass row security' end], null) as powers,
  exists (select from pg_class c where c.relnamespace = to_regnamespace('sluice') and pg_has_role(c.relowner, 'MEMBER')) as owns,
  coalesce(has_schema_privilege(to_regnamespace('sluice'), 'CREATE'), false) as creates,
  array(select relname::text from (${AUDIT_TABLES}) as audit
    where has_table_privilege(oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER') or has_any_column_privilege(oid, 'UPDATE') order by 1) as rewrites,
  inet_server_addr() is not null and not (inet_server_addr() <<= '127.0.0.0/8' or inet_server_addr() = '::1') as over_network,
  coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted,
  current_setting('log_statement') as statements,
  (select setting::int from pg_settings where name = 'log_parameter_max_length') as parameter_bytes,
  (select setting::int from pg_settings where name = 'log_parameter_max_length_on_error') as parameter_bytes_on_error,
  (select setting::int from pg_settings where name = 'log_min_duration_statement') as slower_than_ms,
  (select setting::int from pg_settings where name = 'log_min_duration_sample') as sampled_slower_than_ms,
  current_setting('log_min_error_statement') as error_statements,
  current_setting('log_min_messages') as messages,
  current_setting('log_error_verbosity') as verbosity,
  coalesce(current_setting('pgaudit.log_parameter', true), 'off') = 'on' as audits_parameters,
  coalesce((select setting::int from pg_settings where name = 'auto_explain.log_min_duration'), -1) as explains_slower_than_ms
from pg_roles r where r.rolname = current_user`
