/**
 * Locks in PostgreSQL, for processes without Redis: a row for each, with the time when it ends. No advisory locks: those of a session
 * need a connection each, and those of a transaction one that is open all the while.
 */
import type { Database } from '../database/database.ts'
import type { LockStore } from './lock.ts'

const TAKE = `
insert into sluice.locks as l (name, token, ends_at) values ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
on conflict (name) do update set token = excluded.token, ends_at = excluded.ends_at where l.ends_at < clock_timestamp()
returning name`
const EXTEND = `
update sluice.locks set ends_at = clock_timestamp() + $3 * interval '1 millisecond'
where name = $1 and token = $2 and ends_at >= clock_timestamp() returning name`
const REMOVE = 'delete from sluice.locks where name = $1 and token = $2 returning name'

export function createPostgresLocks(database: Pick<Database, 'query'>): LockStore {
  const ask = async (text: string, ...params: unknown[]): Promise<boolean> => (await database.query(text, params)).length === 1
  return {
    take: (name, token, ttlMs) => ask(TAKE, name, token, ttlMs),
    extend: (name, token, ttlMs) => ask(EXTEND, name, token, ttlMs),
    remove: (name, token) => ask(REMOVE, name, token),
  }
}
