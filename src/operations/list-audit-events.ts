/** Lists the audit log, for administrators. */
import { sql } from 'kysely'
import type { Severity } from '../audit/audit-entry.ts'
import { AuditEvent } from '../audit/entities/audit-event.ts'
import type { Call } from './call.ts'
import { isStorableText } from './check-arguments.ts'
import type { AuditEventHead } from './load-by-id.ts'
import { between, EVERYWHERE, readRows } from './page.ts'
import type { Page } from './page.ts'
import { requireAuditReader } from './refuse.ts'

/** Ids are UUIDs; all that is given must hold. */
export interface AuditFilter {
  type?: string | undefined
  severity?: readonly Severity[] | undefined
  success?: boolean | undefined
  actorId?: string | undefined
  flowId?: string | undefined
  executionId?: string | undefined
  /** inclusive */
  after?: Date | undefined
  /** exclusive */
  before?: Date | undefined
}

/** Throws FORBIDDEN for all but administrators. */
export async function listAuditEvents(call: Call, filter: AuditFilter, page: Page): Promise<AuditEventHead[]> {
  await requireAuditReader(call)
  const { type, severity, success, actorId, flowId, executionId, after, before } = filter
  if (severity?.length === 0 || (type !== undefined && !isStorableText(type))) return []
  const filters = [
    type === undefined ? [] : [sql`t.type = ${type}`],
    severity ? [sql`t.severity = any(${severity})`] : [],
    success === undefined ? [] : [sql`t.success = ${success}`],
    actorId ? [sql`t.actor_id = ${actorId}`] : [],
    flowId ? [sql`t.flow_id = ${flowId}`] : [],
    executionId ? [sql`t.execution_id = ${executionId}`] : [],
    between('at', after, before),
  ].flat()
  return readRows(call, AuditEvent, { table: 'sluice.audit_events', ways: [EVERYWHERE], filters, page, without: ['mac'] })
}
