/** What a feed of executions shows: the newest that somebody may see, and what has become of those that changed. */
import { sql } from 'kysely'
import { Execution } from '../../engine/entities/execution.ts'
import type { Principal } from '../../identity/principal.ts'
import type { Reader, Services } from '../call.ts'
import { lastingConditions, readWanted } from './list-executions.ts'
import type { WantedExecutions } from './list-executions.ts'
import { maskExecutions } from './mask-rows.ts'
import { visibleExecutions } from '../permissions.ts'
import { allOf, selectRows } from '../select-rows.ts'

/** Of a snapshot, and of one frame. */
export const MOST_FOLLOWED = 100
/** What has changed in more than these is shown as a snapshot. */
const MOST_CHANGED = 500

/** Executions that changed, and those (UUIDs) that are of another status now than the wanted ones. */
export interface ChangedExecutions {
  readonly executions: readonly Execution[]
  readonly left: readonly string[]
}

/** Null wants nothing. */
export type FollowedExecutions = WantedExecutions | null

/** The newest first. */
export async function showExecutions(services: Services, principal: Principal, wanted: FollowedExecutions): Promise<Execution[]> {
  const page = { limit: MOST_FOLLOWED, descending: true }
  return wanted ? readWanted(readerOf(services, principal), principal, wanted, page) : []
}

/** Of these ids, what may be seen and is or was wanted: in pieces of one frame each. One statement. */
export async function changedExecutions(
  services: Services,
  principal: Principal,
  wanted: FollowedExecutions,
  ids: readonly string[],
): Promise<ChangedExecutions[] | 'TOO_MANY_CHANGES'> {
  if (!wanted) return []
  const reader = readerOf(services, principal)
  const lasting = allOf([visibleExecutions(principal), ...lastingConditions(wanted)])
  const rows = await selectRows(reader, Execution, {
    where: sql`t.id = any(${ids}::uuid[]) and ${lasting}`,
    then: sql`order by t.id limit ${MOST_CHANGED + 1}`,
  })
  if (rows.length > MOST_CHANGED) return 'TOO_MANY_CHANGES'
  await maskExecutions(reader, rows)
  const pieces: ChangedExecutions[] = []
  for (let at = 0; at < rows.length; at += MOST_FOLLOWED) {
    const [executions, others] = [[] as Execution[], [] as string[]]
    for (const row of rows.slice(at, at + MOST_FOLLOWED)) {
      if (wanted.status?.includes(row.status) ?? true) executions.push(row)
      else others.push(row.id)
    }
    pieces.push({ executions, left: others })
  }
  return pieces
}

const readerOf = (services: Services, principal: Principal): Reader => ({
  ...{ principal, services, frame: true, em: services.database.fork() },
})
