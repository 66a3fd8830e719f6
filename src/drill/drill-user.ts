/** Who starts the executions of drills: a user of its own, who can sign in while a drill lasts and at no other time. */
import { randomBytes } from 'node:crypto'
import type { AuditKeys } from '../audit/audit-keys.ts'
import { auditEntry, recordAudit } from '../audit/record-audit.ts'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { recordAuthChange } from '../identity/auth-changes.ts'
import { createPasswords } from '../identity/passwords.ts'
import { revokeSessions } from '../identity/sessions.ts'
import { insertUser } from '../identity/users.ts'
import { encodeId } from '../ids.ts'

const HANDLE = 'sluice-drill'
const EMAIL = 'drill@sluice.invalid'

// a person who goes by this handle is somebody else
const FIND = 'select id from sluice.users where handle = $1 and email = $2 for no key update'
const OPEN = `update sluice.users set password_hash = $2, disabled_at = null, version = version + 1, updated_at = now() where id = $1`
const CLOSE = `update sluice.users set password_hash = 'none', disabled_at = now(), version = version + 1, updated_at = now() where id = $1`

export interface DrillUser {
  readonly email: string
  readonly password: string
  /** From here on nobody signs in with it. */
  close(): Promise<void>
}

/** Each of both is in the audit log. */
export async function openDrillUser(database: Database, auditKeys: AuditKeys): Promise<DrillUser> {
  const password = `Drill-${randomBytes(18).toString('base64url')}-1`
  const passwordHash = await createPasswords().hash(password)
  const change = (type: string, metadata: object) =>
    auditEntry({ origin: {}, services: { database, auditKeys } }, { type, metadata: { ...metadata } }, { kind: 'SYSTEM' })
  const id = await database.transaction(async (em) => {
    const [known] = await queryIn<{ id: string }>(em, FIND, [HANDLE, EMAIL])
    const made = known ?? (await insertUser(em, { email: EMAIL, handle: HANDLE, name: 'Drill', role: 'USER', passwordHash }))
    if ('taken' in made) throw new Error(`the user of drills cannot be made: another has the same ${made.taken.join(' and ')}`)
    const metadata = { userId: encodeId('user', made.id), role: 'USER', disabled: false }
    if (known) await queryIn(em, OPEN, [made.id, passwordHash])
    if (known) await recordAuthChange(em, `user:${made.id}`)
    await recordAudit(em, change(known ? 'user.updated' : 'user.created', metadata))
    return made.id
  })
  return {
    email: EMAIL,
    password,
    close: () =>
      database.transaction(async (em) => {
        await queryIn(em, CLOSE, [id])
        await revokeSessions(em, id)
        await recordAuthChange(em, `user:${id}`)
        await recordAudit(em, change('user.updated', { userId: encodeId('user', id), disabled: true }))
      }),
  }
}
