/** Reads what of the sealed audit log somebody wants to see, in the order of the chain: in bounded pieces, whatever matches. */
import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { auditConditions } from './audit-filter.ts'
import type { AuditFilter } from './audit-filter.ts'
import type { AuditEvent } from './entities/audit-event.ts'
import type { ChainPlace } from './read-chain.ts'

/** Without what only verification reads. */
export type AuditRow = Omit<AuditEvent, 'mac'>

const COLUMNS = sql`t.id, t.at, t.type, t.severity, t.actor_kind as "actorKind", t.actor_id as "actorId", t.flow_id as "flowId",
  t.execution_id as "executionId", t.success, t.duration_ms as "durationMs", t.tokens, t.error_code as "errorCode", t.metadata, t.ip,
  t.user_agent as "userAgent"`

const allOf = (filter: AuditFilter) => sql.join([sql`true`, ...auditConditions(filter)], sql` and `)
const upTo = ({ xid, id }: ChainPlace) => sql`(t.xid, t.id) <= (${xid}::xid8, ${id}::uuid)`

type Reads = Pick<Database, 'fork'>

/**
 * Those behind `after`, up to `to` and with it: callers choose places that are near each other. `offset 0` keeps the planner from
 * walking another index, over all rows of the log that match.
 */
export async function readMatching(
  database: Reads,
  filter: AuditFilter,
  { after, to }: { after: ChainPlace; to: ChainPlace },
): Promise<AuditRow[]> {
  const { rows } = await sql<AuditRow>`
    select ${COLUMNS} from (
      select * from sluice.audit_events as t
      where (t.xid, t.id) > (${after.xid}::xid8, ${after.id}::uuid) and ${upTo(to)} offset 0
    ) as t where ${allOf(filter)} order by t.xid, t.id`.execute(database.fork().getKysely<unknown>())
  return rows
}

/** The last `limit` up to `to`, among the last `within` rows there. */
export async function readLastMatching(
  database: Reads,
  filter: AuditFilter,
  { to, limit, within }: { to: ChainPlace; limit: number; within: number },
): Promise<AuditRow[]> {
  const { rows } = await sql<AuditRow>`
    select ${COLUMNS} from (
      select * from sluice.audit_events as t where ${upTo(to)} order by t.xid desc, t.id desc limit ${within}
    ) as t where ${allOf(filter)} order by t.xid desc, t.id desc limit ${limit}`.execute(database.fork().getKysely<unknown>())
  return rows.reverse()
}
