/** A call that a step may not make, told to the audit log (A7): which step of which execution, never where it would have gone. */
import { auditEntry } from '../../audit/record-audit.ts'
import { decodeId } from '../../ids.ts'
import type { Services } from '../call.ts'

/** `executionId` as it is shown: `exec_...`. Never rejects. */
export async function noteRefusedCall(services: Services, call: { executionId: string; path: string }): Promise<void> {
  const { executionId, path } = call
  const refused = { type: 'outbound.refused', severity: 'WARNING', success: false, errorCode: 'HTTP_REFUSED' } as const
  const facts = { ...refused, executionId: decodeId('execution', executionId)!, metadata: { path } }
  await services.refusals.record(executionId, auditEntry({ origin: {}, services }, facts, { kind: 'SYSTEM' }))
}
