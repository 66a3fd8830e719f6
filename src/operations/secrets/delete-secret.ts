/** Deletes a secret of the caller. Steps that name it fail from then on. */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { removeSecret } from '../../identity/secrets.ts'
import { encodeId } from '../../ids.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { mayWriteSecrets, requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'
import { staleSecret } from './stale-secret.ts'

export interface DeleteSecret {
  name: string
  /** `Secret.version` as the caller read it */
  expectedVersion: number
}

/** Problems: NOT_FOUND, STALE_VERSION. Throws FORBIDDEN. */
export async function deleteSecret(call: Call, { name, expectedVersion }: DeleteSecret): Promise<{ id: string } | Problem> {
  const principal = requirePrincipal(call)
  if (!mayWriteSecrets(principal)) return forbid(call, { type: 'secret.deletionRefused' })
  return call.services.database.transaction(async (em): Promise<{ id: string } | Problem> => {
    const removed = await removeSecret(em, { ownerId: principal.actsAs, name, expectedVersion })
    if (removed.kind === 'stale') return staleSecret(removed.currentVersion)
    const metadata = { secret: encodeId('secret', removed.id), name, version: expectedVersion }
    await recordAudit(em, auditEntry(call, { type: 'secret.deleted', metadata }))
    return { id: removed.id }
  })
}
