/** Users: what a new one must look like, how one is stored, and how one is found who signs in. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { z } from 'zod'
import { queryIn } from '../database/database.ts'
import type { Issue } from '../errors.ts'
import { newUuid } from '../ids.ts'
import { passwordMistakes } from './password-rule.ts'
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

const NEW_USER = z.strictObject({
  email: z
    .string()
    .trim()
    .max(MAX_EMAIL_LENGTH)
    .pipe(z.email({ error: 'must be an e-mail address' })),
  handle: z.string().regex(/^[a-z0-9-]{1,39}$/, { error: 'must have 1 to 39 lower case letters, digits and -' }),
  name: z
    .string()
    .trim()
    .min(1, { error: 'must not be blank' })
    .max(100, { error: 'must have at most 100 characters' })
    .regex(/^\P{Cc}*$/u, { error: 'must have no control characters' }),
  role: z.enum(ROLES),
  password: z.string().superRefine((password, context) => {
    for (const message of passwordMistakes(password)) context.addIssue({ code: 'custom', message })
  }),
})

/** The user as it will be stored (trimmed), or everything that is wrong, each with its path; values are not quoted. */
export function checkNewUser(input: NewUser): { ok: true; user: NewUser } | { ok: false; issues: Issue[] } {
  const checked = NEW_USER.safeParse(input)
  if (checked.success) return { ok: true, user: checked.data }
  const issues = checked.error.issues.map(({ path, message }) => ({ code: 'INVALID', message, path: path.map(String) }))
  return { ok: false, issues }
}

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

/** Who may sign in to the account, and the hash that the password must match. */
export async function findCredentials(
  em: EntityManager,
  account: string,
): Promise<{ userId: string; passwordHash: string } | undefined> {
  if (account.length > MAX_EMAIL_LENGTH || account.includes('\0')) return undefined
  const find =
    'select id as "userId", password_hash as "passwordHash" from sluice.users where lower(email) = $1 and disabled_at is null'
  return (await queryIn<{ userId: string; passwordHash: string }>(em, find, [account]))[0]
}
