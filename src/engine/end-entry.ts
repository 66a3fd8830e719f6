/** What the audit log says of the end of an execution. */
import type { AuditEntry } from '../audit/audit-entry.ts'
import type { AuditKeys } from '../audit/audit-keys.ts'
import { newUuid } from '../ids.ts'
import type { Snapshot } from './decide/snapshot.ts'

/** Every execution that ends says so in the audit log. */
export function endEntry(next: Snapshot, sign: AuditKeys['sign']): AuditEntry {
  const success = next.status === 'SUCCEEDED'
  return {
    ...{
      id: newUuid(),
      type: 'execution.finished',
      severity: success ? 'INFO' : 'NOTICE',
      at: new Date(next.endedAt!).toISOString(),
      actorKind: 'SYSTEM',
    },
    ...{ flowId: next.flowId, executionId: next.id, success, durationMs: (next.endedAt ?? 0) - next.createdAt },
    ...(next.error && { errorCode: next.error.code }),
    ...(next.tokens && { tokens: next.tokens }),
    metadata: { status: next.status },
    sign,
  }
}
