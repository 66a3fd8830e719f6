/** The workers of the fleet: for administrators. */
import { sql } from 'kysely'
import type { Call } from '../call.ts'
import { noteOther } from '../audit/note-reads.ts'
import { mayManageUsers, requirePerson } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export interface WorkerRow {
  /** UUID */
  id: string
  pools: string[]
  /** as it said when it last renewed its lease; null: its program is too old to say it */
  held: number | null
  capacity: number | null
  version: string | null
  startedAt: Date
  leaseExpiresAt: Date
  alive: boolean
}

export const MOST_WORKERS = 1_000

/** Those that live first, the oldest before the others; one that is lost is told until nothing of it is left. Throws FORBIDDEN. */
export async function listWorkers(call: Call, first: number): Promise<WorkerRow[]> {
  if (!mayManageUsers(requirePerson(call))) return forbid(call, { type: 'workers.refused' })
  const { rows } = await sql<WorkerRow>`
    select id, pools, held, capacity, version, started_at as "startedAt", expires_at as "leaseExpiresAt", expires_at > now() as alive
    from sluice.workers order by expires_at > now() desc, started_at, id limit ${Math.min(Math.max(first, 0), MOST_WORKERS)}`.execute(
    call.em.getKysely<unknown>(),
  )
  noteOther(call, 'workers', rows.length)
  return rows
}
