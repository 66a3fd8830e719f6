/** Adding somebody who can sign in: for administrators. */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Issue, Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { User } from '../../identity/entities/user.ts'
import { checkNewUser, insertUser } from '../../identity/users.ts'
import type { NewUser } from '../../identity/users.ts'
import type { Call } from '../call.ts'
import { asAdministrator, requireAdministrator } from './as-administrator.ts'
import { hashPassword } from './hash-password.ts'

/** Faults: UNAUTHENTICATED, FORBIDDEN. Problems: VALIDATION with every issue (code TAKEN for an e-mail or handle in use), LIMIT_REACHED. */
export async function createUser(call: Call, input: NewUser): Promise<{ user: User } | Problem> {
  await requireAdministrator(call)
  const checked = checkNewUser(input)
  if (!checked.ok) return problem('VALIDATION', { issues: checked.issues })

  const { password, ...user } = checked.user
  const hashed = await hashPassword(call, password)
  if (isProblem(hashed)) return hashed
  const passwordHash = hashed.hash

  const stored = await asAdministrator(call, async (em) => {
    const done = await insertUser(em, { ...user, passwordHash })
    if ('id' in done) {
      const metadata = { userId: encodeId('user', done.id), role: user.role }
      await recordAudit(em, auditEntry(call, { type: 'user.created', metadata }))
    }
    return done
  })
  if ('taken' in stored) return problem('VALIDATION', { issues: stored.taken.map(taken) })
  return { user: await call.em.findOneOrFail(User, stored.id) }
}

const taken = (field: string): Issue => ({ code: 'TAKEN', message: 'belongs to another user', path: [field] })
