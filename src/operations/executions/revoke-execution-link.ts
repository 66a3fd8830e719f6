/** Ends a link, everywhere within a second: what it has open ends too. */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import type { ExecutionLink } from '../../identity/entities/execution-link.ts'
import { endExecutionLink } from '../../identity/execution-links.ts'
import type { Call } from '../call.ts'
import { loadExecutionLinks } from '../load-by-id.ts'

/** `id`: a UUID. A link that has ended stays so. Problem: NOT_FOUND, also for links of others on flows that the caller does not manage. */
export async function revokeExecutionLink(call: Call, { id }: { id: string }): Promise<{ link: ExecutionLink } | Problem> {
  const [before] = await loadExecutionLinks(call, [id])
  if (!before) return problem('NOT_FOUND')
  const { executionId, flowId } = before
  await call.services.database.transaction(async (em) => {
    if (!(await endExecutionLink(em, id))) return
    const metadata = { linkId: encodeId('executionLink', id) }
    await recordAudit(em, auditEntry(call, { type: 'executionLink.revoked', executionId, flowId, metadata }))
  })
  const [link] = await loadExecutionLinks(call, [id])
  return link ? { link } : problem('NOT_FOUND')
}
