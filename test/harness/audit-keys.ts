/** The keys that tests sign the audit log with. */
import { createAuditKeys } from '../../src/audit/audit-keys.ts'

export const auditKeys = createAuditKeys('the audit key of tests, which protects nothing')
export const signAudit = auditKeys.sign
