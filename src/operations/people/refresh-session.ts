/** From a refresh token to the next one and a fresh access token; a token used twice ends its session (B1). */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { rotateToken } from '../../identity/sessions.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck, MAX_KEY } from '../check-arguments.ts'
import { noteRefusal } from '../refuse.ts'
import { signedIn } from './sign-in.ts'
import type { SignedIn } from './sign-in.ts'

export interface RefreshSession {
  refreshToken: string
  /** chosen by the client for this trade: with it a lost answer can be asked for again */
  idempotencyKey?: string | undefined
}

/** Problems: UNAUTHENTICATED, whether the token was never one, is used, too old, or its session is over; VALIDATION. */
export async function refreshSession(call: Call, input: RefreshSession): Promise<SignedIn | Problem> {
  const { refreshToken, idempotencyKey } = input
  const check = new ArgumentCheck()
  check.line(['idempotencyKey'], idempotencyKey, MAX_KEY)
  if (check.problem) return check.problem
  const next = call.services.identity.successorOf(refreshToken, idempotencyKey)
  const rotation = await call.services.database.transaction(async (em) => {
    const done = await rotateToken(em, refreshToken, next)
    if (done.outcome === 'REFUSED') return done
    const metadata = { sessionId: encodeId('session', done.sessionId) }
    if (done.outcome === 'ROTATED') {
      await recordAudit(em, auditEntry(call, { type: 'session.refreshed', metadata }, { kind: 'USER', id: done.userId }))
    } else if (done.revoked) {
      // Somebody has a copy of the token, perhaps this caller: the session's user is told of in the metadata, not as the actor.
      const facts = { type: 'session.revoked', severity: 'WARNING', success: false, errorCode: 'REFRESH_TOKEN_REUSED' } as const
      await recordAudit(em, auditEntry(call, { ...facts, metadata: { ...metadata, userId: encodeId('user', done.userId) } }))
    }
    return done
  })
  if (rotation.outcome === 'ROTATED') return signedIn(call, rotation.userId, rotation.sessionId, rotation.refreshToken)
  if (rotation.outcome === 'REFUSED' || !rotation.revoked) {
    await noteRefusal(call, { type: 'session.refused', errorCode: 'UNAUTHENTICATED' })
  } else call.services.security.count('TOKEN_REUSED', [{ kind: 'USER', id: rotation.userId }])
  return problem('UNAUTHENTICATED')
}
