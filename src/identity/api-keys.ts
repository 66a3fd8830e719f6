/** API keys, of services and of agents (B9, A2): how one is stored, ended, and turned into a principal. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { newUuid } from '../ids.ts'
import { sealedFor, signatureKeyOf } from './agent-signatures.ts'
import { recordAuthChange } from './auth-changes.ts'
import { hashOf, isToken, newToken } from './opaque-tokens.ts'
import { scopesOf } from './principal.ts'
import type { AgentPrincipal, KeyPrincipal, Role, Scope } from './principal.ts'
import type { SecretKeys } from './secret-keys.ts'

const PREFIX = 'slk_'
/** How much of a key its owner sees of it later: enough to tell two apart. */
const SHOWN = PREFIX.length + 6

export interface NewApiKey {
  ownerId: string
  name: string
  /** at most this role, whatever the owner's is */
  role: Role
  scopes: readonly Scope[]
  /** none: a service; else an agent */
  agentRoles: readonly string[]
  /** ms from now */
  lifetimeMs: number
}

/** `secret` is shown once: only its hash is stored, and of an agent's what verifies its signatures, sealed with `secretKeys`. */
export async function insertApiKey(
  em: EntityManager,
  secretKeys: SecretKeys,
  key: NewApiKey,
): Promise<{ id: string; secret: string }> {
  const id = newUuid()
  const secret = newToken(PREFIX)
  const { ownerId, name, role, scopes, agentRoles, lifetimeMs } = key
  const seal = agentRoles.length > 0 ? secretKeys.seal(signatureKeyOf(secret), sealedFor({ id, ownerId })) : undefined
  await queryIn(em, INSERT, [
    ...[id, ownerId, name, secret.slice(0, SHOWN), hashOf(secret), role, scopes, agentRoles, lifetimeMs],
    ...[seal?.keyId ?? null, seal?.nonce ?? null, seal?.sealed ?? null],
  ])
  return { id, secret }
}

const INSERT = `
insert into sluice.api_keys (id, owner_id, name, prefix, hash, role, scopes, agent_roles, expires_at,
  signature_key_id, signature_nonce, signature_sealed)
values ($1, $2, $3, $4, $5, $6, $7, $8, now() + $9::float8 * interval '1 millisecond', $10, $11, $12)`

/** Ends the key, for every process within a second; false when it had ended. */
export async function endApiKey(em: EntityManager, id: string): Promise<boolean> {
  const end = 'update sluice.api_keys set revoked_at = now() where id = $1 and revoked_at is null returning id'
  const ended = (await queryIn(em, end, [id])).length > 0
  if (ended) await recordAuthChange(em, `key:${id}`)
  return ended
}

export const isApiKey = (token: string): boolean => isToken(PREFIX, token)

/** Keys by their secrets or their ids, in one query; those that were revoked, or whose owner is gone, are not there. */
export async function findKeys(
  database: Pick<Database, 'query'>,
  by: { secrets: readonly string[] } | { ids: readonly string[] },
  knownRoles: ReadonlySet<string>,
): Promise<ReadonlyMap<string, KeyPrincipal | AgentPrincipal>> {
  const [column, values] = 'ids' in by ? ['id', by.ids] : ['hash', by.secrets.map(hashOf)]
  const rows = await database.query<KeyRow>(`${FIND} and k.${column} = any($1)`, [values])
  return new Map(rows.flatMap((row) => principalOf(row, knownRoles) ?? []).map((principal) => [principal.id, principal]))
}

interface KeyRow {
  id: string
  ownerId: string
  role: Role
  ownerRole: Role
  scopes: Scope[]
  agentRoles: string[]
  endsAt: number
}

const FIND = `
select k.id, k.owner_id as "ownerId", k.role, u.role as "ownerRole", k.scopes, k.agent_roles as "agentRoles",
  floor(extract(epoch from k.expires_at) * 1000)::float8 as "endsAt"
from sluice.api_keys k
join sluice.users u on u.id = k.owner_id
where k.revoked_at is null and u.disabled_at is null`

/** Undefined for an agent whose roles are not on the list any more, or whose owner is no administrator any more (A2). */
function principalOf(row: KeyRow, knownRoles: ReadonlySet<string>): KeyPrincipal | AgentPrincipal | undefined {
  const { id, ownerId, role, ownerRole, endsAt: expiresAt } = row
  const scopes = scopesOf(row.scopes)
  if (row.agentRoles.length === 0)
    return { kind: 'API_KEY', id, actsAs: ownerId, ownerId, role: lower(role, ownerRole), scopes, expiresAt }
  const agentRoles = row.agentRoles.filter((name) => knownRoles.has(name))
  if (agentRoles.length === 0 || ownerRole !== 'ADMIN') return undefined
  return { kind: 'AGENT', id, actsAs: id, ownerId, role: 'VIEWER', agentRoles, scopes, expiresAt }
}

const RANK: Record<Role, number> = { VIEWER: 0, USER: 1, ADMIN: 2 }
/** The role that may do less. */
export const lower = (a: Role, b: Role): Role => (RANK[a] < RANK[b] ? a : b)
