/** What the monitor of invariants looked at, and what it found and mended: for administrators. */
import { sql } from 'kysely'
import type { Invariant } from '../../engine/find-breaches.ts'
import type { Call } from '../call.ts'
import { noteOther } from './note-reads.ts'
import type { Page } from '../page.ts'
import { mayManageUsers, requirePerson } from '../permissions.ts'
import { forbid } from '../refuse.ts'

/** The last look at everything that was active; null: it has not ended yet. */
export interface InvariantCheck {
  checkedAt: Date | null
  executions: number
  slots: number
}

/** UUIDs. */
export interface Repair {
  id: string
  at: Date
  invariant: Invariant
  executionId: string
}

/** Throws FORBIDDEN. */
export async function readInvariantCheck(call: Call): Promise<InvariantCheck> {
  if (!mayManageUsers(requirePerson(call))) return forbid(call, { type: 'invariants.refused' })
  noteOther(call, 'invariants', 1)
  const { rows } = await sql<InvariantCheck>`
    select ended_at as "checkedAt", executions::float8 as executions, slots::float8 as slots from sluice.invariant_checks`.execute(
    call.em.getKysely<unknown>(),
  )
  return rows[0]!
}

/** Of whoever was let see the check. */
export async function listRepairs(call: Call, { limit, afterId, beforeId, descending }: Page): Promise<Repair[]> {
  const { rows } = await sql<Repair>`
    select id, at, invariant, execution_id as "executionId" from sluice.repairs
    where (${afterId ?? null}::uuid is null or id > ${afterId ?? null}::uuid)
      and (${beforeId ?? null}::uuid is null or id < ${beforeId ?? null}::uuid)
    order by id ${descending ? sql`desc` : sql`asc`} limit ${limit}`.execute(call.em.getKysely<unknown>())
  return rows
}
