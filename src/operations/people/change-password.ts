/** A new password for whoever knows the present one; every other session ends (B2). */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { Fault, isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { requestMail } from '../../identity/mail-room.ts'
import { passwordMistakes } from '../../identity/password-rule.ts'
import { holdStanding, revokeSessions } from '../../identity/sessions.ts'
import { findPasswordHash, holdPassword, setPassword } from '../../identity/users.ts'
import type { Call } from '../call.ts'
import { hashPassword, unlessBusy } from './hash-password.ts'
import { requirePerson } from '../permissions.ts'
import { noteRefusal } from '../refuse.ts'

export interface ChangePassword {
  currentPassword: string
  newPassword: string
}

/**
 * Problems: VALIDATION (the new one is too weak, or no new one), UNAUTHENTICATED (the present one is wrong), LIMIT_REACHED (too
 * many tries: whoever found a signed-in screen cannot guess on).
 */
export async function changePassword(
  call: Call,
  { currentPassword, newPassword }: ChangePassword,
): Promise<{ sessionsEnded: number } | Problem> {
  const person = requirePerson(call)
  const { id, sessionId } = person
  const { identity, database } = call.services
  const mistakes = passwordMistakes(newPassword)
  if (currentPassword === newPassword) mistakes.push('must not be the present one')
  if (mistakes.length > 0) return problem('VALIDATION', { issues: mistakes.map(newPasswordIssue) })

  const attempt = await identity.signInAttempts.attempt(call.origin.ip, `change ${id}`)
  if (!attempt.ok) {
    await noteRefusal(call, { type: 'password.changeRefused', errorCode: 'LIMIT_REACHED' })
    return problem('LIMIT_REACHED', { retryAfterMs: attempt.retryAfterMs })
  }
  const present = await findPasswordHash(call.em, id)
  const matches = await unlessBusy(identity.passwords.matches(currentPassword, present))
  if (isProblem(matches)) return matches
  if (present === undefined || !matches) return refuse(call)
  const hashed = await hashPassword(call, newPassword)
  if (isProblem(hashed)) return hashed

  const done = await database.transaction(async (em) => {
    // whoever was shut out while the passwords were at work must not take the account back
    if (!(await holdStanding(em, person))) throw new Fault('UNAUTHENTICATED')
    if (!(await holdPassword(em, id, present))) return undefined
    const account = await setPassword(em, id, hashed.hash)
    const sessionsEnded = await revokeSessions(em, id, sessionId)
    await requestMail(em, 'PASSWORD_CHANGED', account)
    const metadata = { sessionsEnded, sessionId: encodeId('session', sessionId) }
    await recordAudit(em, auditEntry(call, { type: 'password.changed', metadata }))
    return { sessionsEnded }
  })
  return done ?? refuse(call)
}

async function refuse(call: Call): Promise<Problem> {
  await noteRefusal(call, { type: 'password.changeRefused', errorCode: 'UNAUTHENTICATED' })
  return problem('UNAUTHENTICATED', { path: ['currentPassword'] })
}

const newPasswordIssue = (message: string) => ({ code: 'INVALID', message, path: ['newPassword'] })
