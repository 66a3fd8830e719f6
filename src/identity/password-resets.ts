/** Tokens that let somebody choose a new password: good once, for half an hour, stored as hashes (B2). */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import { hashOf, isToken, newToken } from './opaque-tokens.ts'

const PREFIX = 'sluice_pr_'
export const RESET_MINUTES = 30
/** Asking again does not spoil the mails before, and asking without end does not flood somebody's mailbox. */
const LIVE_PER_USER = 3

/** A new token, shown once; undefined when the user has enough of them. */
export async function issueReset(em: EntityManager, userId: string): Promise<string | undefined> {
  const token = newToken(PREFIX)
  const issued = await queryIn(em, ISSUE, [hashOf(token), userId])
  return issued.length > 0 ? token : undefined
}

/** Whose token it is, while it is good. */
export async function findReset(em: EntityManager, token: string): Promise<string | undefined> {
  if (!isToken(PREFIX, token)) return undefined
  return (await queryIn<{ userId: string }>(em, `select ${GOOD}`, [hashOf(token)]))[0]?.userId
}

/** Uses a token up, and with it all others of its user; whose it was. Of simultaneous uses one succeeds. */
export async function useReset(em: EntityManager, token: string): Promise<string | undefined> {
  const userId = await findReset(em, token)
  if (userId === undefined) return undefined
  const used = await queryIn(em, 'delete from sluice.password_resets where hash = $1 returning hash', [hashOf(token)])
  if (used.length === 0) return undefined
  await forgetResets(em, userId)
  return userId
}

export async function forgetResets(em: EntityManager, userId: string): Promise<void> {
  await queryIn(em, 'delete from sluice.password_resets where user_id = $1', [userId])
}

/** It could not be sent: nobody has it. */
export async function withdrawReset(em: EntityManager, token: string): Promise<void> {
  await queryIn(em, 'delete from sluice.password_resets where hash = $1', [hashOf(token)])
}

const ISSUE = `
insert into sluice.password_resets (hash, user_id, expires_at)
select $1, $2, now() + interval '${RESET_MINUTES} minutes'
where (select count(*) from sluice.password_resets where user_id = $2 and expires_at > now()) < ${LIVE_PER_USER}
returning hash`

const GOOD = `
r.user_id as "userId" from sluice.password_resets r join sluice.users u on u.id = r.user_id
where r.hash = $1 and r.expires_at > now() and u.disabled_at is null`
