/** From a bearer token (an access token, a key, a link) to a principal; remembered until something that it stands on changes. */
import type { Database } from '../database/database.ts'
import { findKeys, isApiKey } from './api-keys.ts'
import type { AuthChanges } from './auth-changes.ts'
import { findLinks, isExecutionLink } from './execution-links.ts'
import { createPrincipalCache } from './principal-cache.ts'
import type { Authentication, Principal, Role } from './principal.ts'
import type { AccessToken, Tokens } from './tokens.ts'

/** Rejects when nobody can tell now: the database does not answer, or changes are not known here. Then nobody is let in. */
export type Authenticate = (token: string) => Promise<Authentication>

/** The same principals as of now, in their order; undefined for those whose session, user, key or link is no more. One query for each kind. */
export type RenewPrincipals = (principals: readonly Principal[]) => Promise<(Principal | undefined)[]>

const NO_ROLES: ReadonlySet<string> = new Set()

export interface AuthenticateOptions {
  readonly tokens: Tokens
  readonly database: Pick<Database, 'query' | 'clock'>
  readonly authChanges: Pick<AuthChanges, 'fresh' | 'changedSince' | 'onAuthChange'>
  /** the agent roles there are (A2); none unless given */
  readonly agentRoles?: ReadonlySet<string>
  /** told of each use of a key */
  readonly onKeyUse?: (keyId: string) => void
}

export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { tokens, database, authChanges, agentRoles = NO_ROLES, onKeyUse } = options
  const cache = createPrincipalCache(authChanges)

  function verify(token: string): Promise<Authentication> {
    if (isApiKey(token)) return only(findKeys(database, { secrets: [token] }, agentRoles))
    if (isExecutionLink(token)) return only(findLinks(database, { tokens: [token] }))
    return verifyAccessToken(token)
  }

  async function verifyAccessToken(accessToken: string): Promise<Authentication> {
    const checked = await tokens.check(accessToken)
    if (!checked.ok) return checked
    const standing = (await standingsOf(database, [checked.token.sessionId])).get(checked.token.sessionId)
    const principal = standing && principalOf(checked.token, standing)
    return principal ? { ok: true, principal } : { ok: false, reason: 'REVOKED' }
  }

  return async (token) => {
    const authentication = await cache.find(token, verify)
    if (!authentication.ok) return authentication
    const { kind, id, expiresAt } = authentication.principal
    if (expiresAt <= database.clock.now()) return { ok: false, reason: 'EXPIRED' }
    if (kind === 'API_KEY' || kind === 'AGENT') onKeyUse?.(id)
    return authentication
  }
}

/** One that was revoked is not told from one that never was. */
async function only(found: Promise<ReadonlyMap<string, Principal>>): Promise<Authentication> {
  const [principal] = (await found).values()
  return principal ? { ok: true, principal } : { ok: false, reason: 'REVOKED' }
}

export const createRenewPrincipals =
  (database: Pick<Database, 'query'>, agentRoles = NO_ROLES): RenewPrincipals =>
  async (principals) => {
    const idsOf = (...kinds: Principal['kind'][]) => [
      ...new Set(principals.filter(({ kind }) => kinds.includes(kind)).map(({ id }) => id)),
    ]
    const sessionIds = principals.flatMap((principal) => (principal.kind === 'USER' ? principal.sessionId : []))
    const [standings, keys, links] = await Promise.all([
      ifAny([...new Set(sessionIds)], (ids) => standingsOf(database, ids)),
      ifAny(idsOf('API_KEY', 'AGENT'), (ids) => findKeys(database, { ids }, agentRoles)),
      ifAny(idsOf('LINK'), (ids) => findLinks(database, { ids })),
    ])
    return principals.map((principal) => {
      if (principal.kind !== 'USER') return keys.get(principal.id) ?? links.get(principal.id)
      const { id, sessionId, expiresAt } = principal
      const standing = standings.get(sessionId)
      return standing && principalOf({ userId: id, sessionId, expiresAt }, standing)
    })
  }

const ifAny = async <Found>(
  ids: readonly string[],
  find: (ids: readonly string[]) => Promise<ReadonlyMap<string, Found>>,
): Promise<ReadonlyMap<string, Found>> => (ids.length > 0 ? find(ids) : new Map())

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
