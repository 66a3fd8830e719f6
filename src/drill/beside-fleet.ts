/** What must be so before a drill begins beside a fleet: else it would do harm there, or take it for a fault of the fleet. */
import { waitsFor } from '../app/database.ts'
import type { Config } from '../config/config-types.ts'
import type { Database } from '../database/database.ts'
import { createLocks } from '../fleet/lock.ts'
import { createPostgresLocks } from '../fleet/postgres-locks.ts'
import type { Logger } from '../log.ts'
import { openChain } from './chain.ts'
import type { Chain } from './chain.ts'

export interface BesideFleet {
  readonly database: Database
  readonly config: Config
  /** that it takes, all its processes together */
  readonly connections: number
  readonly log: Logger
}

/** How long another drill has to wait after one was killed. */
const LOCK_MS = 15_000

// of other roles' connections there is little to see, but that they are there
const CONNECTIONS = `
  select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true), '0')::int as room,
    (select count(*)::int from pg_stat_activity where datid is not null) as used`

/** The fleet's audit chain. Throws a sentence for the operator; else no other drill begins as long as the stack is there. */
export async function beginBesideFleet(
  { database, config, connections, log }: BesideFleet,
  stack: AsyncDisposableStack,
): Promise<Chain> {
  // the API of the drill would bring it up to date, which is for its operator to do
  const missing = await waitsFor(database, { failingMs: 0 })
  if (missing.length > 0) throw new Error(`The database is not ready for a drill: it waits for ${missing.join(', ')}.`)
  const chain = await openChain(config, database)
  if (chain.wrong !== undefined)
    throw new Error(
      `The audit log of this fleet is not one to be written on: ${chain.wrong}. Give the drill the keys that the fleet has (SLUICE_AUDIT_KEY, SLUICE_SECRETS_KEY, SLUICE_JWT_SECRET), or find out with \`sluice audit verify\`.`,
    )
  const [{ room, used } = { room: 0, used: 0 }] = await database.query<{ room: number; used: number }>(CONNECTIONS)
  if (connections > room - used)
    throw new Error(
      `PostgreSQL has room for ${room} connections, and ${used} are taken: with the ${connections} of a drill the fleet could run out of them. Say fewer --workers, or raise max_connections.`,
    )
  const lock = await createLocks(createPostgresLocks(database), log).acquire('drill', LOCK_MS)
  if (!lock)
    throw new Error(
      `Another drill is done on this database, or was killed in the last ${LOCK_MS / 1_000} s: wait until it is over.`,
    )
  stack.defer(() => lock.release())
  return chain
}
