/** Verifies the audit log, a page at a time, for administrators. */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { verifyAudit } from '../../audit/verify-audit.ts'
import type { AuditVerification, VerifiedPlace } from '../../audit/verify-audit.ts'
import type { Call } from '../call.ts'
import { noteOther } from './note-reads.ts'
import { requireAuditReader } from '../refuse.ts'

/**
 * `after`: where an earlier page ended. What is found broken is itself an audit event of severity CRITICAL.
 * Throws FORBIDDEN for all but administrators.
 */
export async function verifyAuditLog(
  call: Call,
  { after, limit }: { after: VerifiedPlace; limit: number },
): Promise<AuditVerification> {
  await requireAuditReader(call)
  const { database, auditKeys, auditHead } = call.services
  const found = await verifyAudit({ database, keys: auditKeys, head: auditHead, after, limit })
  noteOther(call, 'verifiedEvents', found.checked)
  if (found.broken) {
    const { id, why } = found.broken
    const facts = {
      type: 'audit.broken',
      severity: 'CRITICAL',
      success: false,
      metadata: { id, why, position: found.position },
    } as const
    await database.transaction((em) => recordAudit(em, auditEntry(call, facts)))
    call.services.security.count('AUDIT_BROKEN', [])
  }
  return found
}
