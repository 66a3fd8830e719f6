/** Makes a key for a service of the caller's, or for an agent (B9, A2). */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { queryIn } from '../../database/database.ts'
import { Fault, isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { insertApiKey, lower } from '../../identity/api-keys.ts'
import type { ApiKey } from '../../identity/entities/api-key.ts'
import type { Role, Scope, UserPrincipal } from '../../identity/principal.ts'
import { holdStanding } from '../../identity/sessions.ts'
import type { Call } from '../call.ts'
import { checkAgentRoles } from '../agent-requests/check-agent-roles.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import { loadApiKeys } from '../load-by-id.ts'
import { requirePerson } from '../permissions.ts'
import { forbid, noteRefusal } from '../refuse.ts'

export interface CreateApiKey {
  name: string
  scopes: readonly Scope[]
  /** at most the caller's; USER, or what the caller is if that is less, unless said otherwise. Not for agents */
  role?: Role | undefined
  /** any: the key is an agent's, who is nobody's proxy and has these roles */
  agentRoles?: readonly string[] | undefined
  /** ms, 90 days unless said otherwise */
  lifetimeMs?: number | undefined
}

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const DEFAULT_LIFETIME_MS = 90 * DAY_MS
const MAX_LIFETIME_MS = 366 * DAY_MS
const MAX_NAME = 100
/** Live keys of one owner: a limit that counts by key could be escaped by making more of them. */
const MAX_KEYS = 100

/** `secret` is shown this once. Problems: VALIDATION (UNKNOWN_ROLE for an agent role that is not on the list), LIMIT_REACHED. Throws FORBIDDEN: agents are made by administrators. */
export async function createApiKey(call: Call, args: CreateApiKey): Promise<{ apiKey: ApiKey; secret: string } | Problem> {
  const person = requirePerson(call)
  const { agentRoles = [], lifetimeMs = DEFAULT_LIFETIME_MS } = args
  const isAgent = agentRoles.length > 0
  if (isAgent && person.role !== 'ADMIN') return forbid(call, { type: 'apiKey.creationRefused' })
  const wrong = await checkArguments(call, person, args)
  if (wrong) return wrong

  const role = isAgent ? 'VIEWER' : (args.role ?? lower(person.role, 'USER'))
  const scopes = [...new Set(args.scopes)]
  const key = { ownerId: person.id, name: args.name.trim(), role, scopes, agentRoles: [...new Set(agentRoles)], lifetimeMs }
  const made = await call.services.database.transaction(async (em) => {
    // one at a time for each owner, so that they can be counted; and a key must not outlive a session that is over
    if (!(await holdStanding(em, person))) throw new Fault('UNAUTHENTICATED')
    const [live] = await queryIn<{ n: number }>(em, LIVE, [person.id])
    if (live!.n >= MAX_KEYS) return tooMany()
    const { id, secret } = await insertApiKey(em, call.services.identity.secretKeys, key)
    const metadata = { keyId: encodeId('apiKey', id), role, scopes, agentRoles: key.agentRoles }
    await recordAudit(em, auditEntry(call, { type: 'apiKey.created', metadata }))
    return { id, secret }
  })
  if (isProblem(made)) {
    await noteRefusal(call, { type: 'apiKey.creationRefused', errorCode: made.problem })
    return made
  }
  const [apiKey] = await loadApiKeys(call, [made.id])
  return { apiKey: apiKey!, secret: made.secret }
}

const LIVE =
  'select count(*)::integer as n from sluice.api_keys where owner_id = $1 and revoked_at is null and expires_at > now()'

const tooMany = (): Problem =>
  problem('LIMIT_REACHED', { message: `At most ${MAX_KEYS} keys of one owner are good at a time; revoke one.` })

async function checkArguments(call: Call, person: UserPrincipal, args: CreateApiKey): Promise<Problem | undefined> {
  const { name, scopes, role, agentRoles = [], lifetimeMs } = args
  const check = new ArgumentCheck()
  check.line(['name'], name.trim(), MAX_NAME)
  if (scopes.length === 0) check.add('REQUIRED', ['scopes'], 'A key without a scope could do nothing.')
  check.whole(['lifetime'], lifetimeMs, MINUTE_MS, MAX_LIFETIME_MS)
  if (role && agentRoles.length > 0) check.add('INVALID_VALUE', ['role'], 'An agent has agent roles, and no other.')
  if (role && lower(role, person.role) !== role) check.add('INVALID_VALUE', ['role'], 'It is more than you may do yourself.')
  await checkAgentRoles(call, check, ['agentRoles'], agentRoles)
  return check.problem
}
