/** Stores a secret of the caller, or a new value of one. Nothing ever shows it again (B9). */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import type { Secret } from '../../identity/entities/secret.ts'
import { mistakeOfSecretValue } from '../../identity/secret-value-rule.ts'
import { MOST_SECRETS, writeSecret } from '../../identity/secrets.ts'
import { encodeId } from '../../ids.ts'
import { problem } from '../../errors.ts'
import type { Issue, Problem } from '../../errors.ts'
import { NAME } from '../../language/any-step.ts'
import type { Call } from '../call.ts'
import { mayWriteSecrets, requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'
import { staleSecret } from './stale-secret.ts'

export interface SetSecret {
  name: string
  value: string
  /** `Secret.version` as the caller read it; undefined: a new one */
  expectedVersion?: number | undefined
}

/** Problems: VALIDATION (PLACEHOLDER and the like; the value is never quoted), STALE_VERSION, NOT_FOUND, LIMIT_REACHED. Throws FORBIDDEN. */
export async function setSecret(call: Call, { name, value, expectedVersion }: SetSecret): Promise<{ secret: Secret } | Problem> {
  const { database, identity } = call.services
  const principal = requirePrincipal(call)
  if (!mayWriteSecrets(principal)) return forbid(call, { type: 'secret.settingRefused' })
  const wrong = mistakesOf(name, value)
  if (wrong.length > 0) return problem('VALIDATION', { issues: wrong })
  const ownerId = principal.actsAs
  return database.transaction(async (em): Promise<{ secret: Secret } | Problem> => {
    const written = await writeSecret(em, identity.secretKeys, { ownerId, name, value, expectedVersion })
    switch (written.kind) {
      case 'stale':
        return staleSecret(written.currentVersion)
      case 'full':
        return problem('LIMIT_REACHED', { message: `You have ${MOST_SECRETS} secrets; delete one that nothing uses.` })
      case 'written': {
        const { secret } = written
        const metadata = { secret: encodeId('secret', secret.id), name, version: secret.version }
        await recordAudit(em, auditEntry(call, { type: 'secret.set', metadata }))
        return { secret }
      }
    }
  })
}

function mistakesOf(name: string, value: string): Issue[] {
  const issues: Issue[] = []
  if (!NAME.test(name)) {
    issues.push({ code: 'INVALID_NAME', path: ['name'], message: 'It must be 1-64 letters, digits or _ (A-Z a-z 0-9 _).' })
  }
  const mistake = mistakeOfSecretValue(value)
  if (mistake) issues.push({ code: 'INVALID_SECRET', path: ['value'], message: mistake })
  return issues
}
