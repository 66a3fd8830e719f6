/** Sessions and their refresh tokens: good for 30 days, rotated on use, and one used twice ends its session (B1). RFC 9700, 4.14.2. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { createHash, randomBytes } from 'node:crypto'
import { queryIn } from '../database/database.ts'
import { newUuid } from '../ids.ts'
import { recordAuthChange } from './auth-changes.ts'

/** Says what a leaked one is, to people and to scanners for secrets. */
const PREFIX = 'sluice_rt_'
const SHAPE = /^sluice_rt_[A-Za-z0-9_-]{43}$/
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

/** Opens a session in `em`'s transaction, and forgets the user's that have expired. */
export async function openSession(em: EntityManager, userId: string): Promise<NewSession> {
  const sessionId = newUuid()
  await queryIn(em, 'delete from sluice.sessions where user_id = $1 and expires_at < now()', [userId])
  await queryIn(em, `insert into sluice.sessions (id, user_id, expires_at) values ($1, $2, now() + ${LIFETIME})`, [
    sessionId,
    userId,
  ])
  return { sessionId, refreshToken: await addToken(em, sessionId) }
}

/**
 * Trades a refresh token for the next one, in `em`'s transaction, which must be committed whatever the outcome.
 * The row locks let simultaneous uses of one token through one after the other: one rotates, the next is a reuse.
 */
export async function rotateToken(em: EntityManager, refreshToken: string): Promise<Rotation> {
  if (!SHAPE.test(refreshToken)) return { outcome: 'REFUSED' }
  const hash = hashOf(refreshToken)
  const [found] = await queryIn<{ sessionId: string; userId: string; used: boolean; live: boolean }>(em, FIND, [hash])
  if (!found) return { outcome: 'REFUSED' }
  const { sessionId, userId } = found
  if (found.used) return { outcome: 'REUSED', sessionId, userId, revoked: await revokeSession(em, sessionId) }
  if (!found.live) return { outcome: 'REFUSED' }
  await queryIn(em, 'delete from sluice.refresh_tokens where session_id = $1 and expires_at < now()', [sessionId])
  const next = await addToken(em, sessionId)
  await queryIn(em, 'update sluice.refresh_tokens set used_at = now(), replaced_by = $2 where hash = $1', [hash, hashOf(next)])
  await queryIn(em, `update sluice.sessions set expires_at = now() + ${LIFETIME} where id = $1`, [sessionId])
  return { outcome: 'ROTATED', sessionId, userId, refreshToken: next }
}

/** Ends a session and with it every token of it; false when it had ended. */
export async function revokeSession(em: EntityManager, sessionId: string): Promise<boolean> {
  const revoke = 'update sluice.sessions set revoked_at = now() where id = $1 and revoked_at is null returning id'
  const revoked = (await queryIn(em, revoke, [sessionId])).length > 0
  if (revoked) await recordAuthChange(em, `session:${sessionId}`)
  return revoked
}

const FIND = `
select s.id as "sessionId", s.user_id as "userId", t.used_at is not null as used,
  t.expires_at > now() and s.expires_at > now() and s.revoked_at is null and u.disabled_at is null as live
from sluice.refresh_tokens t
join sluice.sessions s on s.id = t.session_id
join sluice.users u on u.id = s.user_id
where t.hash = $1
for no key update of t, s`

async function addToken(em: EntityManager, sessionId: string): Promise<string> {
  const token = `${PREFIX}${randomBytes(32).toString('base64url')}`
  const add = `insert into sluice.refresh_tokens (hash, session_id, expires_at) values ($1, $2, now() + ${LIFETIME})`
  await queryIn(em, add, [hashOf(token), sessionId])
  return token
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest()
