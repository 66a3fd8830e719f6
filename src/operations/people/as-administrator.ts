/** Changes to users are made by whoever is an administrator when they are stored, not only when they were asked for. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { Fault } from '../../errors.ts'
import { holdStanding } from '../../identity/sessions.ts'
import { lockAdmins } from '../../identity/users.ts'
import type { Call } from '../call.ts'
import { mayManageUsers, requirePerson } from '../permissions.ts'
import { forbid } from '../refuse.ts'

const REFUSED = { type: 'user.refused' } as const

/** Before anything else is done. Throws UNAUTHENTICATED, FORBIDDEN. */
export async function requireAdministrator(call: Call): Promise<void> {
  if (!mayManageUsers(requirePerson(call))) await forbid(call, REFUSED)
}

/**
 * A transaction in which nobody else changes who administrates. The caller may have been demoted, disabled or signed out since they
 * were let in (a password may wait long for its hash): throws FORBIDDEN or UNAUTHENTICATED then.
 */
export async function asAdministrator<T>(call: Call, work: (em: EntityManager) => Promise<T>): Promise<T> {
  const person = requirePerson(call)
  const done = await call.services.database.transaction(async (em) => {
    await lockAdmins(em)
    const role = await holdStanding(em, person)
    if (!role) throw new Fault('UNAUTHENTICATED')
    return mayManageUsers({ ...person, role }) && { value: await work(em) }
  })
  return done ? done.value : forbid(call, REFUSED)
}
