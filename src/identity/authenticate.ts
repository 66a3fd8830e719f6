/** From a bearer token to a principal: the token's signature, then whether its session and user still live. */
import { LRUCache } from 'lru-cache'
import type { Database } from '../database/database.ts'
import type { Principal, Role } from './principal.ts'
import type { Tokens } from './tokens.ts'

/** A revoked session, a disabled user or a changed role is noticed within this time. */
const FRESH_MS = 900
const CACHED_SESSIONS = 10_000

/**
 * EXPIRED: it was good, come back with a new one (close code 4403). INVALID: never one of ours; REVOKED: its session
 * or user is no more (both 4401, both UNAUTHENTICATED: the difference is for the log, not for the caller).
 */
export type Authentication = { ok: true; principal: Principal } | { ok: false; reason: 'EXPIRED' | 'INVALID' | 'REVOKED' }
export type Authenticate = (accessToken: string) => Promise<Authentication>

interface Standing {
  userId: string
  handle: string
  role: Role
}

/** `monotonic` in ms: `performance.now` outside of tests. Rejects when the database does not answer: no standing, no entry. */
export function createAuthenticate(
  tokens: Tokens,
  database: Pick<Database, 'query'>,
  monotonic: () => number = () => performance.now(),
): Authenticate {
  // The age counts from before the question, and simultaneous callers share one question.
  const known = new LRUCache<string, { askedAt: number; standing: Promise<Standing | undefined> }>({ max: CACHED_SESSIONS })

  function standingOf(sessionId: string): Promise<Standing | undefined> {
    const cached = known.get(sessionId)
    if (cached && monotonic() - cached.askedAt < FRESH_MS) return cached.standing
    const fresh = { askedAt: monotonic(), standing: database.query<Standing>(STANDING, [sessionId]).then(([row]) => row) }
    known.set(sessionId, fresh)
    fresh.standing.catch(() => known.get(sessionId) === fresh && known.delete(sessionId))
    return fresh.standing
  }

  return async (accessToken) => {
    const checked = await tokens.check(accessToken)
    if (!checked.ok) return checked
    const { userId, sessionId, expiresAt } = checked.token
    const standing = await standingOf(sessionId)
    if (standing?.userId !== userId) return { ok: false, reason: 'REVOKED' }
    const { handle, role } = standing
    return { ok: true, principal: { kind: 'USER', id: userId, role, handle, sessionId, expiresAt } }
  }
}

const STANDING = `
select u.id as "userId", u.handle, u.role
from sluice.sessions s
join sluice.users u on u.id = s.user_id
where s.id = $1 and s.revoked_at is null and s.expires_at > now() and u.disabled_at is null`
