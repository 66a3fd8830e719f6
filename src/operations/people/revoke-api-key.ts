/** Ends a key, everywhere within a second: what it has open ends too (B9). */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { endApiKey } from '../../identity/api-keys.ts'
import type { ApiKey } from '../../identity/entities/api-key.ts'
import type { Call } from '../call.ts'
import { loadApiKeys } from '../load-by-id.ts'
import { requirePerson } from '../permissions.ts'

/** `id`: a UUID. A key that has ended stays so. Problem: NOT_FOUND, also for keys of others unless the caller is an administrator. */
export async function revokeApiKey(call: Call, { id }: { id: string }): Promise<{ apiKey: ApiKey } | Problem> {
  requirePerson(call)
  const [before] = await loadApiKeys(call, [id])
  if (!before) return problem('NOT_FOUND')
  await call.services.database.transaction(async (em) => {
    if (!(await endApiKey(em, id))) return
    await recordAudit(em, auditEntry(call, { type: 'apiKey.revoked', metadata: { keyId: encodeId('apiKey', id) } }))
  })
  const [apiKey] = await loadApiKeys(call, [id])
  return apiKey ? { apiKey } : problem('NOT_FOUND')
}
