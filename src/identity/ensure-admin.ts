/** The administrator of a fresh installation: made at the first start, once, whatever number of processes start together. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditKeys } from '../audit/audit-keys.ts'
import { auditEntry, recordAudit } from '../audit/record-audit.ts'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { encodeId } from '../ids.ts'
import type { Passwords } from './passwords.ts'
import { keepSecretFile } from './secret-files.ts'
import { insertUser, lockAdmins } from './users.ts'

export interface AdminOptions {
  database: Database
  auditKeys: AuditKeys
  passwords: Passwords
  email: string
  /** from the configuration */
  password?: string
  /** where one is made and kept when none is configured; undefined in production, which makes none */
  dataDir?: string
}

export interface AdminResult {
  /** ABSENT: there is none and none could be made, since no password is configured */
  admin: 'EXISTS' | 'CREATED' | 'ABSENT'
  /** where the made password lies */
  passwordFile?: string
}

/** Makes the administrator unless there is one. Throws when the e-mail or the handle `admin` belongs to somebody else. */
export async function ensureAdmin(options: AdminOptions): Promise<AdminResult> {
  const { database, auditKeys, passwords, email, dataDir } = options
  const file = dataDir === undefined || options.password !== undefined ? undefined : join(dataDir, 'admin-password')
  if ((await database.query(ANY_ADMIN)).length > 0)
    return { admin: 'EXISTS', ...(file && existsSync(file) ? { passwordFile: file } : {}) }
  const password = options.password ?? (file && keepSecretFile(file, () => randomBytes(18).toString('base64url')))
  if (password === undefined) return { admin: 'ABSENT' }
  const passwordHash = await passwords.hash(password)
  const admin = await database.transaction(async (em) => {
    await lockAdmins(em)
    if ((await queryIn(em, ANY_ADMIN)).length > 0) return 'EXISTS' as const
    const made = await insertUser(em, { email, handle: 'admin', name: 'Administrator', role: 'ADMIN', passwordHash })
    if ('taken' in made)
      throw new Error(`the administrator cannot be made: another user has the same ${made.taken.join(' and ')}`)
    const entry = auditEntry(
      { origin: {}, services: { database, auditKeys } },
      { type: 'user.created', metadata: { userId: encodeId('user', made.id), role: 'ADMIN' } },
      { kind: 'SYSTEM' },
    )
    await recordAudit(em, entry)
    return 'CREATED' as const
  })
  return { admin, ...(file ? { passwordFile: file } : {}) }
}

const ANY_ADMIN = `select id from sluice.users where role = 'ADMIN' limit 1`
