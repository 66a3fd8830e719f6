/** Gives the pool back what it lent out and lost. */
import type { Pool, PoolClient } from 'pg'

/**
 * Whoever has a connection when it breaks should give it back; a transaction of Kysely's that cannot even be rolled back does not, and
 * Kysely loses one that comes while it is being closed. The pool would count it for ever: one place less after each, in the end none, and
 * a pool that never closes. So it is given back then; that its holder does the same changes nothing.
 */
export function giveBackLost(pool: Pool): void {
  const lent = new Set<PoolClient>()
  const giveBack = (client: PoolClient): void => {
    if (!lent.has(client)) return
    const { release } = client
    client.release = () => undefined
    release.call(client, true)
  }
  pool.on('acquire', (client) => void lent.add(client))
  pool.on('release', (_, client) => void lent.delete(client))
  pool.on('connect', (client) => {
    client.once('end', () => giveBack(client))
    if (pool.ending) setImmediate(giveBack, client)
  })
}
