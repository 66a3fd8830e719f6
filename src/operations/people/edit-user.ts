/** Changing and deleting users: for administrators, of whom one always remains (B4). */
import type { EntityManager } from '@mikro-orm/postgresql'
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { recordAuthChange } from '../../identity/auth-changes.ts'
import { User } from '../../identity/entities/user.ts'
import type { Role } from '../../identity/principal.ts'
import { requestMail } from '../../identity/mail-room.ts'
import { revokeSessions } from '../../identity/sessions.ts'
import { checkUserChange, eraseUser, isOtherAdmin, lockUser, setPassword } from '../../identity/users.ts'
import type { Call } from '../call.ts'
import { asAdministrator, requireAdministrator } from './as-administrator.ts'
import { hashPassword } from './hash-password.ts'

export interface UpdateUser {
  /** UUID */
  id: string
  expectedVersion: number
  /** undefined = as it is, like all that follow */
  name?: string | undefined
  role?: Role | undefined
  /** cannot sign in, and every session and key is dead */
  disabled?: boolean | undefined
  /** ends every session */
  password?: string | undefined
}

/** Problems: NOT_FOUND, STALE_VERSION, VALIDATION, ILLEGAL_STATE (the last administrator), LIMIT_REACHED. Throws FORBIDDEN. */
export async function updateUser(call: Call, input: UpdateUser): Promise<{ user: User } | Problem> {
  await requireAdministrator(call)
  const { id, role, disabled, password } = input
  const checked = checkUserChange({ name: input.name, password })
  if (!checked.ok) return problem('VALIDATION', { issues: checked.issues })
  const hashed = password === undefined ? undefined : await hashPassword(call, password)
  if (isProblem(hashed)) return hashed

  const done = await editUser(call, input, async (em, user) => {
    const demoted = (role !== undefined && role !== 'ADMIN') || disabled === true
    if (demoted && (await isLastAdmin(em, user))) return lastAdmin()
    const now = new Date(call.services.database.clock.now())
    user.name = checked.name ?? user.name
    user.role = role ?? user.role
    if (disabled !== undefined) user.disabledAt = disabled ? (user.disabledAt ?? now) : null
    user.updatedAt = now
    await em.flush()
    if (hashed) await requestMail(em, 'PASSWORD_CHANGED', await setPassword(em, id, hashed.hash))
    if (disabled || hashed) await revokeSessions(em, id)
    await recordAuthChange(em, `user:${id}`)
    const metadata = { userId: encodeId('user', id), role, disabled, password: hashed ? 'changed' : undefined }
    await recordAudit(em, auditEntry(call, { type: 'user.updated', metadata }))
    return undefined
  })
  return done ?? { user: await call.em.findOneOrFail(User, id, { refresh: true }) }
}

/** Nothing is left of the person but the id. Problems: NOT_FOUND, STALE_VERSION, ILLEGAL_STATE. Throws FORBIDDEN. */
export async function deleteUser(
  call: Call,
  input: Pick<UpdateUser, 'id' | 'expectedVersion'>,
): Promise<{ userId: string } | Problem> {
  await requireAdministrator(call)
  const { id } = input
  const done = await editUser(call, input, async (em, user) => {
    if (await isLastAdmin(em, user)) return lastAdmin()
    await eraseUser(em, id)
    await recordAuthChange(em, `user:${id}`)
    await recordAudit(em, auditEntry(call, { type: 'user.deleted', metadata: { userId: encodeId('user', id) } }))
    return undefined
  })
  return done ?? { userId: id }
}

/** What is wrong, if anything: in one transaction in which nobody else changes this user, or who administrates. */
async function editUser(
  call: Call,
  { id, expectedVersion }: Pick<UpdateUser, 'id' | 'expectedVersion'>,
  edit: (em: EntityManager, user: User) => Promise<Problem | undefined>,
): Promise<Problem | undefined> {
  return asAdministrator(call, async (em) => {
    // a statement of its own: the next one sees what whoever held the row has committed
    await lockUser(em, id)
    const user = await em.findOne(User, { id, deletedAt: null })
    if (!user) return problem('NOT_FOUND')
    return user.version === expectedVersion ? edit(em, user) : stale(user.version)
  })
}

const isLastAdmin = async (em: EntityManager, { id, role, disabledAt }: User): Promise<boolean> =>
  role === 'ADMIN' && disabledAt === null && !(await isOtherAdmin(em, id))

const lastAdmin = (): Problem => problem('ILLEGAL_STATE', { message: 'It is the last administrator: make another one first.' })

const stale = (currentVersion: number): Problem => problem('STALE_VERSION', { path: ['expectedVersion'], currentVersion })
