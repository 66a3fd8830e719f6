/** From a bearer token to a principal: the token's signature, then whether its session and user still live; remembered until that changes. */
import type { Database } from '../database/database.ts'
import type { AuthChanges } from './auth-changes.ts'
import { createPrincipalCache } from './principal-cache.ts'
import type { Principal, Role } from './principal.ts'
import type { AccessToken, Tokens } from './tokens.ts'

/**
 * EXPIRED: it was good, come back with a new one (close code 4403). INVALID: never one of ours; REVOKED: its session
 * or user is no more (both 4401, both UNAUTHENTICATED: the difference is for the log, not for the caller).
 */
export type Authentication = { ok: true; principal: Principal } | { ok: false; reason: 'EXPIRED' | 'INVALID' | 'REVOKED' }
/** Rejects when nobody can tell now: the database does not answer, or changes are not known here. Then nobody is let in. */
export type Authenticate = (accessToken: string) => Promise<Authentication>

/** The same principals as of now, in their order; undefined for those whose session, user or key is no more. One query for all. */
export type RenewPrincipals = (principals: readonly Principal[]) => Promise<(Principal | undefined)[]>

export interface AuthenticateOptions {
  readonly tokens: Tokens
  readonly database: Pick<Database, 'query' | 'clock'>
  readonly authChanges: Pick<AuthChanges, 'fresh' | 'changedSince' | 'onAuthChange'>
}

export function createAuthenticate({ tokens, database, authChanges }: AuthenticateOptions): Authenticate {
  const cache = createPrincipalCache(authChanges)

  async function verify(accessToken: string): Promise<Authentication> {
    const checked = await tokens.check(accessToken)
    if (!checked.ok) return checked
    const standing = (await standingsOf(database, [checked.token.sessionId])).get(checked.token.sessionId)
    const principal = standing && principalOf(checked.token, standing)
    return principal ? { ok: true, principal } : { ok: false, reason: 'REVOKED' }
  }

  return async (accessToken) => {
    const authentication = await cache.find(accessToken, verify)
    if (authentication.ok && authentication.principal.expiresAt <= database.clock.now()) return { ok: false, reason: 'EXPIRED' }
    return authentication
  }
}

export const createRenewPrincipals =
  (database: Pick<Database, 'query'>): RenewPrincipals =>
  async (principals) => {
    const sessionIds = principals.flatMap((principal) => (principal.kind === 'USER' ? principal.sessionId : []))
    const standings = await standingsOf(database, [...new Set(sessionIds)])
    return principals.map((principal) => {
      if (principal.kind !== 'USER') return undefined
      const { id, sessionId, expiresAt } = principal
      const standing = standings.get(sessionId)
      return standing && principalOf({ userId: id, sessionId, expiresAt }, standing)
    })
  }

interface Standing {
  sessionId: string
  userId: string
  handle: string
  role: Role
  /** the session's end, ms since 1970 */
  endsAt: number
}

async function standingsOf(
  database: Pick<Database, 'query'>,
  sessionIds: readonly string[],
): Promise<ReadonlyMap<string, Standing>> {
  const rows = await database.query<Standing>(STANDINGS, [sessionIds])
  return new Map(rows.map((row) => [row.sessionId, row]))
}

/** Undefined when the session is another user's. */
function principalOf({ userId, sessionId, expiresAt }: AccessToken, standing: Standing): Principal | undefined {
  if (standing.userId !== userId) return undefined
  const { handle, role, endsAt } = standing
  return { kind: 'USER', id: userId, actsAs: userId, role, handle, sessionId, expiresAt: Math.min(expiresAt, endsAt) }
}

const STANDINGS = `
select s.id as "sessionId", u.id as "userId", u.handle, u.role, floor(extract(epoch from s.expires_at) * 1000)::float8 as "endsAt"
from sluice.sessions s
join sluice.users u on u.id = s.user_id
where s.id = any($1) and s.revoked_at is null and s.expires_at > now() and u.disabled_at is null`
