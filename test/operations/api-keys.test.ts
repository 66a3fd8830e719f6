/** Keys of services and agents: made, used, narrowed, ended. */
import { expect, test } from 'vitest'
import { isProblem } from '../../src/errors.ts'
import type { AgentPrincipal, KeyPrincipal, Principal, UserPrincipal } from '../../src/identity/principal.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import type { CreateApiKey } from '../../src/operations/people/create-api-key.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { findFlow } from '../../src/operations/flows/find-flow.ts'
import { listApiKeys } from '../../src/operations/people/list-api-keys.ts'
import { revokeApiKey } from '../../src/operations/people/revoke-api-key.ts'
import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'

const { database, services, call, person, audited, run } = await testApi()
const { authenticate } = services.identity
const PAGE = { limit: 100, descending: true }
const definition = (name: string) => ({ name, steps: { one: { type: 'transform', set: {} } } })

const make = async (owner: UserPrincipal, more: Partial<CreateApiKey> = {}) =>
  unwrap(await createApiKey(call(owner), { name: 'a service', scopes: ['FLOWS_READ'], ...more }))
async function principalOf(secret: string): Promise<Principal | undefined> {
  const checked = await authenticate(secret)
  return checked.ok ? checked.principal : undefined
}

test('a key is shown once and stored as a hash; its owner sees how it begins (B9)', async () => {
  const me = await person()
  const { apiKey, secret } = await make(me)
  expect(secret).toMatch(/^slk_[\w-]{43}$/)
  expect(secret.startsWith(apiKey.prefix)).toBe(true)
  expect(apiKey.prefix.length).toBeLessThanOrEqual(10)
  const rows = await database.query<{ row: string }>('select k::text as row from sluice.api_keys k')
  expect(rows.some(({ row }) => row.includes(secret.slice(apiKey.prefix.length)))).toBe(false)
  const log = JSON.stringify(await audited(me.id))
  expect(log).toContain('apiKey.created')
  expect(log).not.toContain(secret)
})

test('a session that is over leaves no key behind, though its request was let in before (B9, B11)', async () => {
  const me = await person()
  await database.query('update sluice.sessions set revoked_at = now() where user_id = $1', [me.id])
  await expect(make(me)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  expect(await listApiKeys(call(me), {}, PAGE)).toEqual([])
})

test('a key acts as its owner, within its scopes, and what it makes is its owner’s (B9)', async () => {
  const me = await person()
  const { secret } = await make(me, { scopes: ['FLOWS_WRITE'] })
  const key = (await principalOf(secret)) as KeyPrincipal
  expect(key).toMatchObject({ kind: 'API_KEY', actsAs: me.id, role: 'USER' })
  expect([...key.scopes].toSorted()).toEqual(['FLOWS_READ', 'FLOWS_WRITE'])
  const flow = unwrap(await createFlow(call(key), { definition: definition('by a key') }))
  expect(flow.ownerId).toBe(me.id)
  expect(unwrap(await findFlow(call(me), { id: flow.id })).id).toBe(flow.id)
  expect((await audited(key.id)).at(-1)).toMatchObject({ type: 'flow.created', actorKind: 'API_KEY' })
  const refused = await run(key, 'mutation { startExecution(input: { flow: "by a key" }) { __typename } }')
  expect(refused.codes).toEqual(['FORBIDDEN'])
})

test('a key is never more than its owner is: a lower role takes effect, a disabled owner ends it (B9, B4)', async () => {
  const admin = await person('ADMIN')
  const { secret } = await make(admin, { role: 'ADMIN' })
  expect(await principalOf(secret)).toMatchObject({ role: 'ADMIN' })
  expect(await principalOf((await make(admin)).secret)).toMatchObject({ role: 'USER' })
  const lowered = (await make(admin, { role: 'ADMIN' })).secret
  await database.query(`update sluice.users set role = 'VIEWER' where id = $1`, [admin.id])
  expect(await principalOf(lowered)).toMatchObject({ role: 'VIEWER' })
  const again = (await make(admin)).secret
  await database.query('update sluice.users set disabled_at = now() where id = $1', [admin.id])
  expect(await principalOf(again)).toBeUndefined()
})

test('what is wrong with a key is told at once: more than the owner is, no scope, too long a life', async () => {
  const me = await person()
  const refused = await createApiKey(call(me), { name: ' ', scopes: [], role: 'ADMIN', lifetimeMs: 367 * 86_400_000 })
  expect(isProblem(refused) && refused.issues!.map(({ path }) => path[0]).toSorted()).toEqual([
    'lifetime',
    'name',
    'role',
    'scopes',
  ])
  expect(await listApiKeys(call(me), {}, PAGE)).toEqual([])
})

test('agents are made by administrators; their roles are of the closed list, and another one is refused, counted and forgotten (A2)', async () => {
  const [admin, me] = [await person('ADMIN'), await person()]
  const agent = { scopes: ['REQUESTS_ANSWER' as const], agentRoles: ['ceo'] }
  await expect(make(me, agent)).rejects.toMatchObject({ code: 'FORBIDDEN' })
  const { secret } = await make(admin, agent)
  expect((await principalOf(secret)) as AgentPrincipal).toMatchObject({ kind: 'AGENT', agentRoles: ['ceo'], role: 'VIEWER' })
  for (let at = 0; at < 20; at++) {
    const refused = await createApiKey(call(admin), { ...agent, name: 'x', agentRoles: [`ceo${at}`] })
    expect(refused).toMatchObject({ problem: 'VALIDATION', issues: [{ code: 'UNKNOWN_ROLE', path: ['agentRoles', '0'] }] })
  }
  const rows = (await audited(admin.id)).filter(({ type }) => type === 'agentRole.refused')
  expect(rows).toHaveLength(1)
  expect(JSON.stringify(rows)).not.toContain('ceo0')
})

test('an agent is no agent any more when its role leaves the list or its maker is no administrator (A2)', async () => {
  const admin = await person('ADMIN')
  const { secret } = await make(admin, { agentRoles: ['cto'] })
  const made = (await principalOf(secret))!
  expect(await services.identity.renewPrincipals([made])).toMatchObject([{ kind: 'AGENT' }])
  await database.query(`update sluice.api_keys set agent_roles = '{nobody}' where id = $1`, [made.id])
  expect(await services.identity.renewPrincipals([made])).toEqual([undefined])
  await database.query(`update sluice.api_keys set agent_roles = '{cto}' where id = $1`, [made.id])
  await database.query(`update sluice.users set role = 'USER' where id = $1`, [admin.id])
  expect(await services.identity.renewPrincipals([made])).toEqual([undefined])
})

test('a revoked key opens nothing any more, at once here, and its end is audited once (B9)', async () => {
  const me = await person()
  const { apiKey, secret } = await make(me)
  expect(await principalOf(secret)).toBeDefined()
  unwrap(await revokeApiKey(call(me), { id: apiKey.id }))
  expect(await principalOf(secret)).toBeUndefined()
  expect(unwrap(await revokeApiKey(call(me), { id: apiKey.id })).apiKey.revokedAt).not.toBeNull()
  expect((await audited(me.id)).filter(({ type }) => type === 'apiKey.revoked')).toHaveLength(1)
  expect(await database.query('select subject from sluice.auth_changes where subject = $1', [`key:${apiKey.id}`])).toHaveLength(1)
})

test('an expired key says so, and is no key', async () => {
  const me = await person()
  const { apiKey, secret } = await make(me)
  await database.query('update sluice.api_keys set expires_at = now() where id = $1', [apiKey.id])
  expect(await authenticate(secret)).toEqual({ ok: false, reason: 'EXPIRED' })
})

test('keys of others are not there; administrators see and end them (B4, B9)', async () => {
  const [me, you, admin] = [await person(), await person(), await person('ADMIN')]
  const { apiKey, secret } = await make(you)
  expect(await listApiKeys(call(me), { ownerId: you.id }, PAGE)).toEqual([])
  expect(await revokeApiKey(call(me), { id: apiKey.id })).toEqual(await revokeApiKey(call(me), { id: me.id }))
  expect(await principalOf(secret)).toBeDefined()
  expect((await listApiKeys(call(admin), { ownerId: you.id }, PAGE)).map(({ id }) => id)).toEqual([apiKey.id])
  unwrap(await revokeApiKey(call(admin), { id: apiKey.id }))
  expect(await listApiKeys(call(you), { live: true }, PAGE)).toEqual([])
  expect(await listApiKeys(call(you), { live: false }, PAGE)).toHaveLength(1)
})

test('when a key was last used is written for all keys together, for each at most once a minute', async () => {
  const me = await person()
  const keys = await Promise.all([make(me), make(me)])
  const { keyUse } = services.identity
  const lastUsed = async () => (await listApiKeys(call(me), {}, PAGE)).map(({ lastUsedAt }) => lastUsedAt?.getTime() ?? null)
  await Promise.all(keys.map(({ secret }) => principalOf(secret)))
  expect(await lastUsed()).toEqual([null, null])
  await keyUse.runOnce()
  const first = await lastUsed()
  expect(first.every((at) => at !== null)).toBe(true)
  await Promise.all(keys.map(({ secret }) => principalOf(secret)))
  await keyUse.runOnce()
  expect(await lastUsed()).toEqual(first)
})
