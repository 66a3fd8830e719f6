/** Lists the audit log, for administrators. */
import { sql } from 'kysely'
import { auditConditions, SECURITY_TYPES } from '../../audit/audit-filter.ts'
import type { AuditFilter } from '../../audit/audit-filter.ts'
import { AuditEvent } from '../../audit/entities/audit-event.ts'
import type { Call } from '../call.ts'
import type { AuditEventHead } from '../load-by-id.ts'
import { between, eachOf, EVERYWHERE, readRows } from '../page.ts'
import type { Page, Way } from '../page.ts'
import { requireAuditReader } from '../refuse.ts'

/** Throws FORBIDDEN for all but administrators. */
export async function listAuditEvents(call: Call, filter: AuditFilter, page: Page): Promise<AuditEventHead[]> {
  await requireAuditReader(call)
  if (filter.severity?.length === 0) return []
  const filters = [...auditConditions(filter), ...between('at', filter.after, filter.before)]
  const walk = { table: 'sluice.audit_events', ways: waysTo(filter), filters, page, mayBeStale: true }
  return readRows(call, AuditEvent, { ...walk, without: ['mac'] })
}

/** What is rare is found by its index: each value of it is one walk. Everyday rows are next to each other anyway. */
function waysTo({ security, severity }: AuditFilter): readonly Way[] {
  if (security) return eachOf([EVERYWHERE], 'type', SECURITY_TYPES)
  if (severity && !severity.includes('INFO')) {
    return eachOf([{ ...EVERYWHERE, where: sql`t.severity <> 'INFO'` }], 'severity', severity)
  }
  return [EVERYWHERE]
}
