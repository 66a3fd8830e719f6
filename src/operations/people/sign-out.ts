/** Ending sessions: the one that asks, all of them, or another one of the caller's (B11). */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { revokeSession, revokeSessions } from '../../identity/sessions.ts'
import type { Call } from '../call.ts'
import { requirePerson } from '../permissions.ts'

/** Everything that stands on these sessions ends within a second, in every process. Problem: NOT_FOUND, when it had ended already. */
export async function signOut(call: Call, { everywhere }: { everywhere: boolean }): Promise<{ sessionsEnded: number } | Problem> {
  const { id, sessionId } = requirePerson(call)
  if (!everywhere) return endSession(call, { id: sessionId })
  return call.services.database.transaction(async (em) => {
    const sessionsEnded = await revokeSessions(em, id)
    await recordAudit(em, auditEntry(call, { type: 'session.allEnded', metadata: { sessionsEnded } }))
    return { sessionsEnded }
  })
}

/** `id` is a UUID. Problem: NOT_FOUND, also when the session is somebody else's or over. */
export async function endSession(call: Call, { id }: { id: string }): Promise<{ sessionsEnded: number } | Problem> {
  const person = requirePerson(call)
  return call.services.database.transaction(async (em) => {
    if (!(await revokeSession(em, id, person.id))) return problem('NOT_FOUND')
    await recordAudit(em, auditEntry(call, { type: 'session.ended', metadata: { sessionId: encodeId('session', id) } }))
    return { sessionsEnded: 1 }
  })
}
