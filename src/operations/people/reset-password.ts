/** A new password for whoever can read the account's mail: asking for the token, and using it (B2). */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { requestMail } from '../../identity/mail-room.ts'
import { findReset, useReset } from '../../identity/password-resets.ts'
import { passwordMistakes } from '../../identity/password-rule.ts'
import { revokeSessions } from '../../identity/sessions.ts'
import { accountOf, isStorableAccount, setPassword } from '../../identity/users.ts'
import type { Call } from '../call.ts'
import { hashPassword } from './hash-password.ts'
import { noteRefusal } from '../refuse.ts'

/**
 * Says the same, after the same work, whether there is such an account or not: one row that asks for a mail. Who gets one is found
 * out later, by whoever sends it. Problem: LIMIT_REACHED.
 */
export async function requestPasswordReset(call: Call, { email }: { email: string }): Promise<{ accepted: true } | Problem> {
  const { identity, database } = call.services
  const account = accountOf(email)
  const attempt = await identity.signInAttempts.attempt(call.origin.ip, `reset ${account}`)
  if (!attempt.ok) {
    await noteRefusal(call, { type: 'password.resetRefused', errorCode: 'LIMIT_REACHED' })
    return problem('LIMIT_REACHED', { retryAfterMs: attempt.retryAfterMs })
  }
  // nobody's account is such a text: that this costs less tells nothing
  if (!isStorableAccount(account)) return { accepted: true }
  await database.transaction(async (em) => {
    await requestMail(em, 'PASSWORD_RESET', account)
    await recordAudit(em, auditEntry(call, { type: 'password.resetRequested' }))
  })
  identity.mailRoom.wake()
  return { accepted: true }
}

export interface ResetPassword {
  token: string
  password: string
}

/** Every session ends. Problems: VALIDATION, UNAUTHENTICATED (the token is no good, or was used), LIMIT_REACHED. */
export async function resetPassword(
  call: Call,
  { token, password }: ResetPassword,
): Promise<{ sessionsEnded: number } | Problem> {
  const mistakes = passwordMistakes(password)
  if (mistakes.length > 0) {
    return problem('VALIDATION', { issues: mistakes.map((message) => ({ code: 'INVALID', message, path: ['password'] })) })
  }
  // before a hash is made of it: only whoever has a token may cost that much
  if ((await findReset(call.em, token)) === undefined) return refuse(call)
  const hashed = await hashPassword(call, password)
  if (isProblem(hashed)) return hashed
  const done = await call.services.database.transaction(async (em) => {
    const userId = await useReset(em, token)
    if (userId === undefined) return undefined
    const account = await setPassword(em, userId, hashed.hash)
    const sessionsEnded = await revokeSessions(em, userId)
    await requestMail(em, 'PASSWORD_CHANGED', account)
    const entry = auditEntry(call, { type: 'password.reset', metadata: { sessionsEnded } }, { kind: 'USER', id: userId })
    await recordAudit(em, entry)
    return { sessionsEnded }
  })
  return done ?? refuse(call)
}

async function refuse(call: Call): Promise<Problem> {
  await noteRefusal(call, { type: 'password.resetRefused', errorCode: 'UNAUTHENTICATED' })
  return problem('UNAUTHENTICATED')
}
