/** Users: what a new one must look like, how one is stored, and how one is found who signs in. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { queryIn } from '../database/database.ts'
import type { Issue } from '../errors.ts'
import { newUuid } from '../ids.ts'
import { passwordMistakes } from './password-rule.ts'
import { forgetResets } from './password-resets.ts'
import { ROLES } from './principal.ts'
import type { Role } from './principal.ts'

const MAX_EMAIL_LENGTH = 254

export interface NewUser {
  email: string
  /** lower case letters, digits and `-`, at most 39; the name of its flows begins with it */
  handle: string
  name: string
  password: string
  role: Role
}

/** What is left of deleted users has such handles. */
const DELETED = 'deleted-'

const NAME = z
  .string()
  .trim()
  .min(1, { error: 'must not be blank' })
  .max(100, { error: 'must have at most 100 characters' })
  .regex(/^\P{Cc}*$/u, { error: 'must have no control characters' })

const PASSWORD = z.string().superRefine((password, context) => {
  for (const message of passwordMistakes(password)) context.addIssue({ code: 'custom', message })
})

const NEW_USER = z.strictObject({
  email: z
    .string()
    .trim()
    .max(MAX_EMAIL_LENGTH)
    .pipe(z.email({ error: 'must be an e-mail address' })),
  handle: z
    .string()
    .regex(/^[a-z0-9-]{1,39}$/, { error: 'must have 1 to 39 lower case letters, digits and -' })
    .refine((handle) => !handle.startsWith(DELETED), { error: `must not begin with ${DELETED}` }),
  name: NAME,
  role: z.enum(ROLES),
  password: PASSWORD,
})

const USER_CHANGE = z.strictObject({ name: NAME.optional(), password: PASSWORD.optional() })

/** The user as it will be stored (trimmed), or everything that is wrong, each with its path; values are not quoted. */
export function checkNewUser(input: NewUser): { ok: true; user: NewUser } | { ok: false; issues: Issue[] } {
  const checked = NEW_USER.safeParse(input)
  return checked.success ? { ok: true, user: checked.data } : { ok: false, issues: issuesOf(checked.error) }
}

/** The same for what can be changed of one. */
export function checkUserChange(input: {
  name?: string | undefined
  password?: string | undefined
}): { ok: true; name: string | undefined } | { ok: false; issues: Issue[] } {
  const checked = USER_CHANGE.safeParse(input)
  return checked.success ? { ok: true, name: checked.data.name } : { ok: false, issues: issuesOf(checked.error) }
}

const issuesOf = ({ issues }: z.ZodError): Issue[] =>
  issues.map(({ path, message }) => ({ code: 'INVALID', message, path: path.map(String) }))

/** Stores a checked user; `taken` names what another user has already, and then nothing was stored. */
export async function insertUser(
  em: EntityManager,
  user: Omit<NewUser, 'password'> & { passwordHash: string },
): Promise<{ id: string } | { taken: ('email' | 'handle')[] }> {
  const id = newUuid()
  const values = [id, user.email, user.handle, user.name, user.role, user.passwordHash]
  const stored = await queryIn(em, INSERT, values)
  if (stored.length > 0) return { id }
  const [clash] = await queryIn<{ email: boolean; handle: boolean }>(em, CLASH, [user.email, user.handle])
  return { taken: (['email', 'handle'] as const).filter((field) => clash?.[field]) }
}

const INSERT = `
insert into sluice.users (id, email, handle, name, role, password_hash) values ($1, $2, $3, $4, $5, $6)
on conflict do nothing returning id`

const CLASH = `
select exists (select from sluice.users where lower(email) = lower($1)) as email,
  exists (select from sluice.users where handle = $2) as handle`

/** One account, one text, however its e-mail is typed: attempts are counted and users found by it. */
export const accountOf = (email: string): string => email.trim().toLowerCase()

/** Whether there could be such an account. */
export const isStorableAccount = (account: string): boolean =>
  account.length <= MAX_EMAIL_LENGTH && !account.includes('\0') && account.isWellFormed()

/** Who may sign in to the account, and the hash that the password must match. */
export async function findCredentials(
  em: EntityManager,
  account: string,
): Promise<{ userId: string; passwordHash: string } | undefined> {
  if (!isStorableAccount(account)) return undefined
  const find =
    'select id as "userId", password_hash as "passwordHash" from sluice.users where lower(email) = $1 and disabled_at is null'
  return (await queryIn<{ userId: string; passwordHash: string }>(em, find, [account]))[0]
}

/** Any constant: all that may make the first administrator or end the last one take this lock first. */
const ADMIN_LOCK = 7_312_020

/** From here to the end of `em`'s transaction nobody else changes who administrates. */
export async function lockAdmins(em: EntityManager): Promise<void> {
  await queryIn(em, 'select pg_advisory_xact_lock($1)', [ADMIN_LOCK])
}

/** Whether somebody else could still administrate. `lockAdmins` comes first. */
export async function isOtherAdmin(em: EntityManager, userId: string): Promise<boolean> {
  const others = `select id from sluice.users where role = 'ADMIN' and disabled_at is null and id <> $1 limit 1`
  return (await queryIn(em, others, [userId])).length > 0
}

/**
 * Whether this is still the password's hash of somebody who may sign in. If so, it stays so until the end of `em`'s transaction:
 * checking a password takes long, and what was true when it began may be over.
 */
export async function holdPassword(em: EntityManager, userId: string, passwordHash: string): Promise<boolean> {
  const hold = 'select from sluice.users where id = $1 and password_hash = $2 and disabled_at is null for no key update'
  return (await queryIn(em, hold, [userId, passwordHash])).length > 0
}

/** Nobody else changes the user until the end of `em`'s transaction. */
export async function lockUser(em: EntityManager, userId: string): Promise<void> {
  await queryIn(em, 'select from sluice.users where id = $1 for no key update', [userId])
}

/** Sets a checked password; every token that would reset it is void. The user's account. */
export async function setPassword(em: EntityManager, userId: string, passwordHash: string): Promise<string> {
  const set = `update sluice.users set password_hash = $2, version = version + 1, updated_at = now() where id = $1 returning email`
  const [user] = await queryIn<{ email: string }>(em, set, [userId, passwordHash])
  await forgetResets(em, userId)
  return accountOf(user!.email)
}

/** The stored hash of a user who may sign in. */
export async function findPasswordHash(em: EntityManager, userId: string): Promise<string | undefined> {
  const find = 'select password_hash as "passwordHash" from sluice.users where id = $1 and disabled_at is null'
  return (await queryIn<{ passwordHash: string }>(em, find, [userId]))[0]?.passwordHash
}

/** Leaves nothing of a user but the id, for good. `lockUser` comes first. */
export async function eraseUser(em: EntityManager, userId: string): Promise<void> {
  const handle = `${DELETED}${randomBytes(12).toString('hex')}`
  const [erased] = await queryIn<{ account: string }>(em, ERASE, [userId, `${handle}@deleted.invalid`, handle])
  for (const statement of FORGET) await queryIn(em, statement, [userId])
  await queryIn(em, 'delete from sluice.mail_requests where account = $1', [erased!.account])
  await forgetResets(em, userId)
}

/** What a row that stays does not take with it. */
const FORGET = [
  'delete from sluice.sessions where user_id = $1',
  'delete from sluice.api_keys where owner_id = $1',
  'delete from sluice.execution_links where issuer_id = $1',
  'delete from sluice.flow_grants where user_id = $1',
]

const ERASE = `
with before as (select id, lower(email) as account from sluice.users where id = $1)
update sluice.users u set email = $2, handle = $3, name = 'Deleted user', role = 'VIEWER', password_hash = 'none',
  disabled_at = coalesce(u.disabled_at, now()), deleted_at = now(), version = u.version + 1, updated_at = now()
from before where u.id = before.id returning before.account`
