/** Those whose ids were stored with what runs for them (executions, schedules): who they are as of now. */
import type { Database } from '../database/database.ts'
import { findKeys } from './api-keys.ts'
import type { AgentPrincipal, Role } from './principal.ts'

/** A user, whoever's key it was that asked, or an agent. */
export type StoredPrincipal =
  | { kind: 'USER'; id: string; actsAs: string; role: Role }
  | Pick<AgentPrincipal, 'kind' | 'id' | 'actsAs' | 'role' | 'agentRoles'>

/** By id; those who are gone, disabled, revoked or expired are not there. */
export async function findStoredPrincipals(
  database: Pick<Database, 'query' | 'clock'>,
  ids: readonly string[],
  agentRoles: ReadonlySet<string>,
): Promise<ReadonlyMap<string, StoredPrincipal>> {
  const wanted = [...new Set(ids)]
  const users = await database.query<{ id: string; role: Role }>(
    'select id, role from sluice.users where id = any($1) and disabled_at is null',
    [wanted],
  )
  const found = new Map<string, StoredPrincipal>(users.map(({ id, role }) => [id, { kind: 'USER', id, actsAs: id, role }]))
  const rest = wanted.filter((id) => !found.has(id))
  if (rest.length === 0) return found
  const now = database.clock.now()
  for (const [id, key] of await findKeys(database, { ids: rest }, agentRoles))
    if (key.kind === 'AGENT' && key.expiresAt > now) found.set(id, key)
  return found
}
