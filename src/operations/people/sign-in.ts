/** From an e-mail and a password to a session (B1, B2, B3). */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { User } from '../../identity/entities/user.ts'
import { openSession } from '../../identity/sessions.ts'
import { accountOf, findCredentials, holdPassword } from '../../identity/users.ts'
import type { Call } from '../call.ts'
import { unlessBusy } from './hash-password.ts'
import { noteRefusal } from '../refuse.ts'

export interface SignedIn {
  accessToken: string
  /** ms since 1970 */
  accessTokenExpiresAt: number
  /** single use: it is answered with the next one */
  refreshToken: string
  user: User
}

/**
 * Problems: UNAUTHENTICATED (whatever is wrong, after the same work), LIMIT_REACHED (too many attempts from this address on this
 * account, or too many sign-ins at once; no password was looked at).
 */
export async function signIn(call: Call, { email, password }: { email: string; password: string }): Promise<SignedIn | Problem> {
  const { identity, database } = call.services
  const account = accountOf(email)
  const attempt = await identity.signInAttempts.attempt(call.origin.ip, account)
  if (!attempt.ok) return refuseForNow(call, attempt.retryAfterMs)

  const known = await findCredentials(call.em, account)
  const matches = await unlessBusy(identity.passwords.matches(password, known?.passwordHash))
  if (isProblem(matches)) return refuseForNow(call, matches.retryAfterMs!)
  if (!known || !matches) return refuse(call, known?.userId)

  const session = await database.transaction(async (em) => {
    // a new password, set while the old one was checked, ended all sessions: none may follow
    if (!(await holdPassword(em, known.userId, known.passwordHash))) return undefined
    const opened = await openSession(em, known.userId, call.origin)
    const metadata = { sessionId: encodeId('session', opened.sessionId) }
    await recordAudit(em, auditEntry(call, { type: 'signIn.succeeded', metadata }, { kind: 'USER', id: known.userId }))
    return opened
  })
  if (!session) return refuse(call, known.userId)
  return signedIn(call, known.userId, session.sessionId, session.refreshToken)
}

/** What a session's owner gets, at sign-in and at each refresh. */
export async function signedIn(call: Call, userId: string, sessionId: string, refreshToken: string): Promise<SignedIn> {
  const { accessToken, expiresAt } = await call.services.identity.tokens.issue(userId, sessionId)
  const user = await call.em.findOneOrFail(User, userId)
  return { accessToken, accessTokenExpiresAt: expiresAt, refreshToken, user }
}

async function refuse(call: Call, userId: string | undefined): Promise<Problem> {
  // whose account it was is known only when there is one; what was typed instead is nobody's business
  const metadata = userId === undefined ? undefined : { userId: encodeId('user', userId) }
  await noteRefusal(call, { type: 'signIn.refused', errorCode: 'UNAUTHENTICATED', metadata })
  return problem('UNAUTHENTICATED')
}

async function refuseForNow(call: Call, retryAfterMs: number): Promise<Problem> {
  await noteRefusal(call, { type: 'signIn.refused', errorCode: 'LIMIT_REACHED' })
  return problem('LIMIT_REACHED', { retryAfterMs })
}
