/** The limits of time behind a pooler: there the role has them, since a connection of ours is one of the server's for a transaction only. */
import type { Logger } from '../log.ts'
import { openDatabase, queryIn, TIME_LIMIT_MS } from './database.ts'

/** Any constant. */
const ROLE_LOCK = 7_312_025

/**
 * The role of `connection`, a URL of the server itself, gets the limits in this database, if it lacks them: every role may say so of
 * itself. Connections that a pooler has open already get them when it opens them anew.
 */
export async function limitRole(connection: string, log: Logger): Promise<void> {
  const database = await openDatabase({ connection, entities: [], poolSize: 1, log })
  try {
    await database.transaction(async (em) => {
      // of two that alter a role at the same time, one fails
      await queryIn(em, 'select pg_advisory_xact_lock($1)', [ROLE_LOCK])
      const [row] = await queryIn<{ missing: string[] }>(em, MISSING)
      for (const statement of row!.missing) await queryIn(em, statement)
    })
  } finally {
    await database.close()
  }
}

const MISSING = `
  select array(
    select format('alter role %I in database %I set %I = %L', current_user, current_database(), name, '${TIME_LIMIT_MS}')
    from unnest(array['statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout']) as name
    where current_setting(name, true) is not null and not exists (
      select from pg_db_role_setting s where s.setrole = current_user::regrole and s.setconfig @> array[name || '=${TIME_LIMIT_MS}']
        and s.setdatabase = (select oid from pg_database where datname = current_database()))) as missing`
