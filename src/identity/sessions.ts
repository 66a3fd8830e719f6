/** Sessions and their refresh tokens: good for 30 days, rotated on use, and one used twice ends its session (B1). RFC 9700, 4.14.2. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { createHmac } from 'node:crypto'
import type { Origin } from '../audit/audit-entry.ts'
import { storable } from '../audit/record-audit.ts'
import { queryIn } from '../database/database.ts'
import { newUuid } from '../ids.ts'
import { recordAuthChange } from './auth-changes.ts'
import type { AuthSubject } from './auth-changes.ts'
import type { Role, UserPrincipal } from './principal.ts'
import { lockUser } from './users.ts'
import { hashOf, isToken, newToken } from './opaque-tokens.ts'

const PREFIX = 'sluice_rt_'
const USER_AGENT_LENGTH = 256
const LIFETIME = `interval '30 days'`

export interface NewSession {
  sessionId: string
  /** shown once: only its hash is stored */
  refreshToken: string
}

export type Rotation =
  | { outcome: 'ROTATED'; userId: string; sessionId: string; refreshToken: string }
  /** It was used before: somebody else has a copy. `revoked`: this call ended the session; else it was over already. */
  | { outcome: 'REUSED'; userId: string; sessionId: string; revoked: boolean }
  /** unknown, expired, or of a session or user that is no more */
  | { outcome: 'REFUSED' }

/** Opens a session in `em`'s transaction. */
export async function openSession(em: EntityManager, userId: string, { ip, userAgent }: Origin = {}): Promise<NewSession> {
  const sessionId = newUuid()
  const open = `insert into sluice.sessions (id, user_id, ip, user_agent, expires_at) values ($1, $2, $3, $4, now() + ${LIFETIME})`
  const agent = userAgent === undefined ? undefined : storable(userAgent.slice(0, USER_AGENT_LENGTH))
  await queryIn(em, open, [sessionId, userId, ip ?? null, agent ?? null])
  const refreshToken = newToken(PREFIX)
  await addToken(em, sessionId, refreshToken)
  return { sessionId, refreshToken }
}

/**
 * The token that follows `refreshToken`: made by chance, or, when its holder chose a key for this trade, from both. So whoever lost
 * the answer and repeats the request gets the same answer, and whoever has the token alone gets another: a reuse.
 */
export const successorOf = (refreshToken: string, key: string | undefined, secret: string): string =>
  key === undefined
    ? newToken(PREFIX)
    : `${PREFIX}${createHmac('sha256', secret)
        .update(JSON.stringify(['refresh', refreshToken, key]))
        .digest('base64url')}`

/**
 * Trades a refresh token for `next`, in `em`'s transaction, which must be committed whatever the outcome. The row locks let
 * simultaneous uses of one token through one after the other: one rotates, the next is a reuse, unless it repeats the same trade
 * within a minute and before anybody used what came of it.
 */
export async function rotateToken(em: EntityManager, refreshToken: string, next: string): Promise<Rotation> {
  if (!isToken(PREFIX, refreshToken)) return { outcome: 'REFUSED' }
  const hash = hashOf(refreshToken)
  // a statement of its own: the next one sees what whoever held the locks has committed
  await queryIn(em, LOCK, [hash])
  const [found] = await queryIn<Found>(em, FIND, [hash, hashOf(next)])
  if (!found) return { outcome: 'REFUSED' }
  const { sessionId, userId } = found
  if (found.repeated && found.live) return { outcome: 'ROTATED', sessionId, userId, refreshToken: next }
  if (found.used) return { outcome: 'REUSED', sessionId, userId, revoked: await revokeSession(em, sessionId) }
  if (!found.live) return { outcome: 'REFUSED' }
  await queryIn(em, 'delete from sluice.refresh_tokens where session_id = $1 and expires_at < now()', [sessionId])
  await addToken(em, sessionId, next)
  await queryIn(em, 'update sluice.refresh_tokens set used_at = now(), replaced_by = $2 where hash = $1', [hash, hashOf(next)])
  await queryIn(em, `update sluice.sessions set refreshed_at = now(), expires_at = now() + ${LIFETIME} where id = $1`, [
    sessionId,
  ])
  return { outcome: 'ROTATED', sessionId, userId, refreshToken: next }
}

/**
 * The role of somebody whose session still stands, as it is now and stays until the end of `em`'s transaction; undefined: it was
 * ended since they were let in. For what outlives the session: who was shut out meanwhile must not leave a way back in.
 */
export async function holdStanding(
  em: EntityManager,
  { id, sessionId }: Pick<UserPrincipal, 'id' | 'sessionId'>,
): Promise<Role | undefined> {
  // a statement of its own: the next one sees what whoever held the row has committed
  await lockUser(em, id)
  return (await queryIn<{ role: Role }>(em, STANDING, [sessionId, id]))[0]?.role
}

const STANDING = `
select u.role from sluice.sessions s join sluice.users u on u.id = s.user_id
where s.id = $1 and s.user_id = $2 and s.revoked_at is null and s.expires_at > now() and u.disabled_at is null`

/** Ends a session and with it every token of it; false when it had ended, or is none of `userId`'s. */
export async function revokeSession(em: EntityManager, sessionId: string, userId?: string): Promise<boolean> {
  const revoked = await revoke(em, 'id = $1 and ($2::uuid is null or user_id = $2)', [sessionId, userId ?? null])
  return revoked.length > 0
}

/** Ends all sessions of a user, but for `except`; how many there were. */
export async function revokeSessions(em: EntityManager, userId: string, except?: string): Promise<number> {
  return (await revoke(em, 'user_id = $1 and id is distinct from $2::uuid', [userId, except ?? null])).length
}

/** Ends every session there is, and voids what resets passwords: nobody knows what was revoked that a restore brought back. */
export async function endAllSessions(em: EntityManager): Promise<number> {
  await queryIn(em, 'delete from sluice.password_resets')
  return (await revoke(em, 'true', [])).length
}

async function revoke(em: EntityManager, which: string, params: readonly unknown[]): Promise<{ id: string }[]> {
  const statement = `update sluice.sessions set revoked_at = now() where ${which} and revoked_at is null returning id`
  const revoked = await queryIn<{ id: string }>(em, statement, params)
  await recordAuthChange(em, ...revoked.map(({ id }): AuthSubject => `session:${id}`))
  return revoked
}

interface Found {
  sessionId: string
  userId: string
  used: boolean
  /** it was traded for `next` a moment ago, and `next` is still unused */
  repeated: boolean
  live: boolean
}

const LOCK = `
select from sluice.refresh_tokens t join sluice.sessions s on s.id = t.session_id where t.hash = $1 for no key update of t, s`

const FIND = `
select s.id as "sessionId", s.user_id as "userId", t.used_at is not null as used,
  coalesce(t.replaced_by = $2 and t.used_at > now() - interval '1 minute', false) and exists (
    select from sluice.refresh_tokens n where n.hash = $2 and n.used_at is null) as repeated,
  t.expires_at > now() and s.expires_at > now() and s.revoked_at is null and u.disabled_at is null as live
from sluice.refresh_tokens t
join sluice.sessions s on s.id = t.session_id
join sluice.users u on u.id = s.user_id
where t.hash = $1`

async function addToken(em: EntityManager, sessionId: string, token: string): Promise<void> {
  const add = `insert into sluice.refresh_tokens (hash, session_id, expires_at) values ($1, $2, now() + ${LIFETIME})`
  await queryIn(em, add, [hashOf(token), sessionId])
}
