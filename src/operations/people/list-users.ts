/** Lists users, and mails that development kept: for administrators. */
import { sql } from 'kysely'
import { User } from '../../identity/entities/user.ts'
import type { Role } from '../../identity/principal.ts'
import type { SentMail } from '../../outbound/mail.ts'
import type { Call } from '../call.ts'
import { isStorableText } from '../check-arguments.ts'
import { noteOther } from '../audit/note-reads.ts'
import { EVERYWHERE, eachOf, readRows } from '../page.ts'
import type { Page } from '../page.ts'
import { mayManageUsers, requirePerson } from '../permissions.ts'
import { forbid } from '../refuse.ts'

/** All that is given must hold. */
export interface UserFilter {
  role?: readonly Role[] | undefined
  disabled?: boolean | undefined
  /** exactly this handle */
  handle?: string | undefined
  /** exactly this e-mail, upper and lower case alike */
  email?: string | undefined
}

/** Not those that were deleted. Throws FORBIDDEN. */
export async function listUsers(call: Call, { role, disabled, handle, email }: UserFilter, page: Page): Promise<User[]> {
  if (!mayManageUsers(requirePerson(call))) return forbid(call, { type: 'user.refused' })
  if (role?.length === 0 || ![handle, email].every((text) => text === undefined || isStorableText(text))) return []
  const filters = [
    [sql`t.deleted_at is null`],
    disabled === undefined ? [] : [sql`(t.disabled_at is not null) = ${disabled}`],
    handle === undefined ? [] : [sql`t.handle = ${handle}`],
    email === undefined ? [] : [sql`lower(t.email) = lower(${email})`],
  ].flat()
  const ways = role ? eachOf([EVERYWHERE], 'role', role) : [EVERYWHERE]
  return readRows(call, User, { table: 'sluice.users', ways, filters, page })
}

/** The newest first; none where mails are sent. Throws FORBIDDEN. */
export async function listOutbox(call: Call): Promise<readonly SentMail[]> {
  if (!mayManageUsers(requirePerson(call))) return forbid(call, { type: 'user.refused' })
  const mails = call.services.identity.outbox()
  noteOther(call, 'mails', mails.length)
  return mails
}
