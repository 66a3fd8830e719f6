/** Lists security events, for administrators. */
import { sql } from 'kysely'
import { SecurityEvent } from '../../audit/entities/security-event.ts'
import type { SecurityKind, SecurityKindRule } from '../../audit/security-kinds.ts'
import type { Call } from '../call.ts'
import { isStorableText } from '../check-arguments.ts'
import { EVERYWHERE, readRows } from '../page.ts'
import type { Page } from '../page.ts'
import { requireAuditReader } from '../refuse.ts'

/** All that is given must hold. */
export interface SecurityEventFilter {
  kind?: readonly SecurityKind[] | undefined
  severity?: readonly SecurityKindRule['severity'][] | undefined
  /** a UUID, or an address as limits count it */
  subject?: string | undefined
  /** still going on then or later */
  since?: Date | undefined
  /** begun before */
  until?: Date | undefined
}

/** Throws FORBIDDEN for all but administrators. */
export async function listSecurityEvents(call: Call, filter: SecurityEventFilter, page: Page): Promise<SecurityEvent[]> {
  await requireAuditReader(call)
  const { kind, severity, subject, since, until } = filter
  if (kind?.length === 0 || severity?.length === 0 || (subject !== undefined && !isStorableText(subject))) return []
  const filters = [
    kind ? [sql`t.kind = any(${kind})`] : [],
    severity ? [sql`t.severity = any(${severity})`] : [],
    subject === undefined ? [] : [sql`t.subject = ${subject}`],
    since ? [sql`t.last_at >= ${since}`] : [],
    until ? [sql`t.first_at < ${until}`] : [],
  ].flat()
  return readRows(call, SecurityEvent, { table: 'sluice.security_events', ways: [EVERYWHERE], filters, page, mayBeStale: true })
}
