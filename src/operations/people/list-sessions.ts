/** Lists where the caller is signed in. */
import { sql } from 'kysely'
import { Session } from '../../identity/entities/session.ts'
import type { Call } from '../call.ts'
import { EVERYWHERE, readRows } from '../page.ts'
import type { Page } from '../page.ts'
import { requirePerson } from '../permissions.ts'

/** Those that are not over. */
export async function listSessions(call: Call, page: Page): Promise<Session[]> {
  const { id } = requirePerson(call)
  const mine = { ...EVERYWHERE, where: sql`t.user_id = ${id} and t.revoked_at is null` }
  return readRows(call, Session, { table: 'sluice.sessions', ways: [mine], filters: [sql`t.expires_at > now()`], page })
}
