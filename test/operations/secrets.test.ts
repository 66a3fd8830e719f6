import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { schema } from '../../src/api/schema.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import { findSigners, signatureKeyOf } from '../../src/identity/agent-signatures.ts'
import { rekeySecrets } from '../../src/identity/rekey-secrets.ts'
import { decodeId } from '../../src/ids.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import { testApi } from '../harness/api.ts'
import { unwrap } from '../harness/engine.ts'

const secretKeys = createSecretKeys('the key of this test')
const given: string[] = []
const api = await testApi({
  secretKeys,
  handlers: {
    use(_input, { secret }) {
      given.push(secret('api_key'))
      return 'used'
    },
  },
})
const { database } = api

const SET = `mutation ($name: String!, $value: String!, $expectedVersion: Int) {
  setSecret(input: { name: $name, value: $value, expectedVersion: $expectedVersion }) {
    __typename
    ... on SetSecretSuccess { secret { id name version } }
    ... on Problem { code }
    ... on StaleVersionProblem { currentVersion }
    ... on ValidationProblem { issues { code path message } }
  }
}`
const DELETE = `mutation ($name: String!, $expectedVersion: Int!) {
  deleteSecret(input: { name: $name, expectedVersion: $expectedVersion }) {
    __typename ... on DeleteSecretSuccess { secretId } ... on Problem { code }
  }
}`
const LIST = '{ secrets(first: 100) { edges { node { id name version createdAt updatedAt } } } }'
const CREATE = `mutation ($definition: JSON!) {
  createFlow(input: { definition: $definition }) {
    __typename ... on CreateFlowSuccess { flow { id } } ... on ValidationProblem { issues { code path hint } }
  }
}`
const PUBLISH = `mutation ($flowId: ID!, $definition: JSON!, $expectedVersion: Int!) {
  publishFlowVersion(input: { flowId: $flowId, definition: $definition, expectedVersion: $expectedVersion }) {
    __typename ... on PublishFlowVersionSuccess { flow { version } } ... on ValidationProblem { issues { code path hint } }
    ... on Problem { code }
  }
}`
const START = `mutation ($flow: String!) {
  startExecution(input: { flow: $flow, input: {}, waitMs: 20000 }) {
    __typename ... on StartExecutionSuccess { execution { id status error { code message } } } ... on Problem { code }
  }
}`

type Person = Awaited<ReturnType<typeof api.person>>
const set = async (who: Person, name: string, value: string, expectedVersion?: number) => {
  const { data, codes } = await api.run(who, SET, { name, value, ...(expectedVersion && { expectedVersion }) })
  return codes[0] ?? data.setSecret
}
const names = async (who: Person): Promise<string[]> =>
  (await api.run(who, LIST)).data.secrets.edges.map(({ node }: { node: { name: string } }) => node.name)

const uses = (name: string, ...secrets: string[]) => ({
  name,
  steps: { call: { type: 'handler', handler: 'use', secrets } },
})

/** Somebody with a secret `api_key` and a flow that uses it. */
async function owner(value = 'k9-first-value') {
  const who = await api.person()
  await set(who, 'api_key', value)
  const { data } = await api.run(who, CREATE, { definition: uses('uses', 'api_key') })
  const flowId = data.createFlow.flow.id as string
  const run = async () => (await api.run(who, START, { flow: flowId })).data.startExecution.execution
  return { who, flowId, run }
}

test('a secret is set, listed by its name, replaced and deleted; nothing shows its value (B9)', async () => {
  const who = await api.person()
  const first = await set(who, 'stripe_key', 'sk_live_1234')
  expect(first).toMatchObject({ __typename: 'SetSecretSuccess', secret: { name: 'stripe_key', version: 1 } })
  expect(first.secret.id).toMatch(/^secret_/)
  const second = await set(who, 'stripe_key', 'sk_live_5678', 1)
  expect(second.secret).toEqual({ ...first.secret, version: 2 })
  expect(await names(who)).toEqual(['stripe_key'])
  const node = await api.run(who, 'query ($id: ID!) { node(id: $id) { __typename ... on Secret { name } } }', {
    id: first.secret.id,
  })
  expect(node.data.node).toEqual({ __typename: 'Secret', name: 'stripe_key' })
  const fields = Object.keys((schema.getType('Secret') as unknown as { getFields(): object }).getFields())
  expect(fields.toSorted()).toEqual(['createdAt', 'id', 'name', 'updatedAt', 'version'])

  expect((await api.run(who, DELETE, { name: 'stripe_key', expectedVersion: 1 })).data.deleteSecret.code).toBe('STALE_VERSION')
  expect((await api.run(who, DELETE, { name: 'stripe_key', expectedVersion: 2 })).data.deleteSecret).toEqual({
    __typename: 'DeleteSecretSuccess',
    secretId: first.secret.id,
  })
  expect((await api.run(who, DELETE, { name: 'stripe_key', expectedVersion: 2 })).data.deleteSecret.code).toBe('NOT_FOUND')
  expect(await names(who)).toEqual([])
  expect((await api.audited(who.id)).map(({ type }) => type)).toEqual(['secret.set', 'secret.set', 'secret.deleted'])
})

test('a value is never overwritten by whoever did not know that it was there (A5)', async () => {
  const who = await api.person()
  const both = await Promise.all([set(who, 'token', 'value-of-one'), set(who, 'token', 'value-of-two')])
  expect(both.map((answer) => answer.code ?? 'SET').toSorted()).toEqual(['SET', 'STALE_VERSION'])
  expect(await set(who, 'token', 'third-value')).toMatchObject({ code: 'STALE_VERSION', currentVersion: 1 })
  expect(await set(who, 'token', 'third-value', 7)).toMatchObject({ code: 'STALE_VERSION', currentVersion: 1 })
  expect(await set(who, 'absent', 'third-value', 7)).toMatchObject({ code: 'NOT_FOUND' })
})

test('secrets of steps inside of steps are asked for when a flow is published too (B9)', async () => {
  const who = await api.person()
  const inner = { type: 'handler', handler: 'use', secrets: ['absent'] }
  const steps = {
    each: { type: 'map', over: [1], step: inner },
    again: { type: 'loop', times: 2, until: 'true', step: inner },
    done: { type: 'transform', set: {}, compensate: inner },
  }
  const { data } = await api.run(who, CREATE, { definition: { name: 'nested', steps } })
  expect(data.createFlow.issues.map(({ code, path }: { code: string; path: string[] }) => `${code} ${path.join('.')}`)).toEqual([
    'UNKNOWN_SECRET steps.each.step.secrets.0',
    'UNKNOWN_SECRET steps.again.step.secrets.0',
    'UNKNOWN_SECRET steps.done.compensate.secrets.0',
  ])
})

test.each(['changeme', 'TODO', 'xxx', '<your-key>', '', 'sk-your-key-here'])(
  'the placeholder %j is refused (B9)',
  async (value) => {
    const who = await api.person()
    expect(await set(who, 'key', value)).toMatchObject({ issues: [{ code: 'INVALID_SECRET', path: ['value'] }] })
    expect(await names(who)).toEqual([])
  },
)

test('names are names: everything wrong is told at once (C3)', async () => {
  const answer = await set(await api.person(), "'; drop table", 'todo')
  expect(answer.issues.map(({ code }: { code: string }) => code)).toEqual(['INVALID_NAME', 'INVALID_SECRET'])
})

test("one's secrets are one's own: others and administrators see none, viewers make none (B4, B9)", async () => {
  const who = await api.person()
  const { secret } = await set(who, 'mine', 'sk_live_1234')
  const node = 'query ($id: ID!) { node(id: $id) { id } }'
  for (const other of [await api.person(), await api.person('ADMIN')]) {
    expect(await names(other)).toEqual([])
    expect((await api.run(other, node, { id: secret.id })).data.node).toBeNull()
    expect((await api.run(other, DELETE, { name: 'mine', expectedVersion: 1 })).data.deleteSecret.code).toBe('NOT_FOUND')
  }
  const viewer = await api.person('VIEWER')
  expect(await set(viewer, 'mine', 'sk_live_1234')).toBe('FORBIDDEN')
  expect((await api.audited(viewer.id)).map(({ type, success }) => [type, success])).toEqual([['secret.settingRefused', false]])
})

test('a definition names only secrets that its owner has, said with what was meant (A1, B9)', async () => {
  const { who } = await owner()
  const { data } = await api.run(who, CREATE, { definition: uses('other', 'api_keey', 'api_key') })
  const issue = { code: 'UNKNOWN_SECRET', path: ['steps', 'call', 'secrets', '0'], hint: 'did you mean "api_key"?' }
  expect(data.createFlow.issues).toEqual([issue])
  const validate = `mutation ($definition: JSON!) { validateFlow(input: { definition: $definition }) { valid issues { code path hint } } }`
  const told = await api.run(who, validate, { definition: uses('other', 'api_keey', 'api_key') })
  expect(told.data.validateFlow).toEqual({ valid: false, issues: [issue] })
  expect((await api.run(who, validate, { definition: uses('other', 'api_key') })).data.validateFlow.valid).toBe(true)
  const call = uses('other', 'api_keey').steps.call
  const steps = { copy: { type: 'transform', set: {}, compensate: call }, each: { type: 'map', over: '${{ [1] }}', step: call } }
  const inside = await api.run(who, validate, { definition: { name: 'other', steps } })
  expect(inside.data.validateFlow.issues).toMatchObject([
    { code: 'UNKNOWN_SECRET', path: ['steps', 'copy', 'compensate', 'secrets', '0'] },
    { code: 'UNKNOWN_SECRET', path: ['steps', 'each', 'step', 'secrets', '0'] },
  ])
  const twice = await api.run(who, CREATE, { definition: uses('other', 'api_key', 'api_key', 'no name') })
  expect(twice.data.createFlow.issues.map(({ code }: { code: string }) => code)).toEqual(['DUPLICATE', 'INVALID_NAME'])
})

test('whoever may edit a flow that is not theirs publishes nothing that uses its secrets, and it is audited (B9, A7)', async () => {
  const { who, flowId } = await owner()
  const admin = await api.person('ADMIN')
  await set(admin, 'api_key', 'the-admins-own-value')
  const { data } = await api.run(admin, PUBLISH, { flowId, definition: uses('uses', 'api_key'), expectedVersion: 1 })
  expect(data.publishFlowVersion.issues).toMatchObject([{ code: 'SECRET_NOT_YOURS' }])
  expect((await api.audited(admin.id)).map(({ type }) => type)).toContain('secret.useRefused')
  const own = await api.run(who, PUBLISH, { flowId, definition: uses('uses', 'api_key'), expectedVersion: 1 })
  expect(own.data.publishFlowVersion.__typename).toBe('PublishFlowVersionSuccess')
})

test('the newest value reaches the handler, as it was set, and no input or output has it (B9)', async () => {
  const { who, run } = await owner('first value äöü')
  given.length = 0
  expect((await run()).status).toBe('SUCCEEDED')
  await set(who, 'api_key', 'second-value', 1)
  expect((await run()).status).toBe('SUCCEEDED')
  expect(given).toEqual(['first value äöü', 'second-value'])
})

test('whoever starts a flow runs it with the secrets of its owner, not with their own of the same name (B9)', async () => {
  const { flowId } = await owner('of the owner')
  await api.ownerQuery(`update sluice.flows set visibility = 'PUBLIC'`)
  const guest = await api.person()
  await set(guest, 'api_key', 'of the guest')
  given.length = 0
  const { data } = await api.run(guest, START, { flow: flowId })
  expect(data.startExecution.execution.status).toBe('SUCCEEDED')
  expect(given).toEqual(['of the owner'])
})

const RAISED: Record<string, string[]> = { SECRET_NOT_YOURS: ['SECRETS_REFUSED'], SECRET_TAMPERED: ['SECRETS_TAMPERED'] }
test.each([
  ['was deleted', `delete from sluice.secrets where owner_id = $1`, 'UNKNOWN_SECRET'],
  [
    'belongs to somebody else now',
    `update sluice.flows set owner_id = (select id from sluice.users where id <> $1 limit 1) where owner_id = $1`,
    'SECRET_NOT_YOURS',
  ],
  [
    'is named by a version that another published',
    `update sluice.flow_versions set created_by = flow_id where created_by = $1`,
    'SECRET_NOT_YOURS',
  ],
  ['is of an owner who was disabled', `update sluice.users set disabled_at = now() where id = $1`, 'SECRET_NOT_YOURS'],
  [
    'was changed in the database',
    `update sluice.secrets set sealed = set_byte(sealed, 3, get_byte(sealed, 3) # 1) where owner_id = $1`,
    'SECRET_TAMPERED',
  ],
  ['has another version', `update sluice.secrets set version = 2 where owner_id = $1`, 'SECRET_TAMPERED'],
  [
    'was sealed with a key that is gone',
    `update sluice.secrets set key_id = repeat('0', 16) where owner_id = $1`,
    'SECRET_UNKNOWN_KEY',
  ],
])(
  'a step whose secret %s gets nothing: asked again at each attempt; what is suspicious raises an event (A1, B9, C8)',
  async (_why, statement, errorCode) => {
    const { who, flowId } = await owner()
    given.length = 0
    await api.ownerQuery(statement, [who.id])
    const admin = await api.person('ADMIN')
    const { data } = await api.run(admin, START, { flow: flowId })
    expect(data.startExecution.execution).toMatchObject({ status: 'FAILED', error: { code: 'SECRET_UNAVAILABLE' } })
    expect(given).toEqual([])
    const [audited] = await database.query<{ severity: string }>(
      `select severity from sluice.audit_events where type = 'secret.useRefused' and error_code = $1 and actor_kind = 'SYSTEM' order by id desc limit 1`,
      [errorCode],
    )
    expect(audited?.severity).toBe(errorCode === 'SECRET_TAMPERED' ? 'CRITICAL' : 'WARNING')
    await api.security.watch.runOnce()
    const raised = await database.query<{ kind: string }>(
      `select kind from sluice.security_events where subject = $1 and kind like 'SECRETS%'`,
      [decodeId('flow', flowId)],
    )
    expect(raised.map(({ kind }) => kind)).toEqual(RAISED[errorCode] ?? [])
  },
)

test('sealed values that were swapped between rows do not open, neither between names nor between owners (B9)', async () => {
  const one = await owner('value-of-the-first')
  const two = await owner('value-of-the-second')
  await set(one.who, 'other_key', 'another-value-of-the-first')
  given.length = 0
  const swap = `update sluice.secrets a set sealed = b.sealed, nonce = b.nonce from sluice.secrets b
    where a.owner_id = $1 and a.name = 'api_key' and b.owner_id = $2 and b.name = $3`
  await api.ownerQuery(swap, [one.who.id, one.who.id, 'other_key'])
  expect((await one.run()).error.code).toBe('SECRET_UNAVAILABLE')
  await api.ownerQuery(swap, [one.who.id, two.who.id, 'api_key'])
  expect((await one.run()).error.code).toBe('SECRET_UNAVAILABLE')
  expect(given).toEqual([])
  expect((await two.run()).status).toBe('SUCCEEDED')
})

test('after a change of the key everything is sealed anew in batches, once, and what no key opens is left and counted (B9)', async () => {
  const who = await api.person()
  const value = (i: number) => `value number ${i} of many`
  await Promise.all(Array.from({ length: 220 }, (_, i) => set(who, `many_${i}`, value(i))))
  const lost = createSecretKeys('a key that is lost')
  const foreign = { id: '00000000-0000-7000-8000-000000000001', ownerId: who.id, name: 'lost', version: 1 }
  const { keyId, nonce, sealed } = lost.seal('cannot be opened', foreign)
  await database.query('insert into sluice.secrets (id, owner_id, name, key_id, nonce, sealed) values ($1, $2, $3, $4, $5, $6)', [
    foreign.id,
    who.id,
    'lost',
    keyId,
    nonce,
    sealed,
  ])
  const agent = unwrap(
    await createApiKey(api.call(await api.person('ADMIN')), { name: 'agent', agentRoles: ['ceo'], scopes: ['REQUESTS_ANSWER'] }),
  )
  const next = createSecretKeys('the next key of this test', ['the key of this test'])
  const [one, two] = await Promise.all([rekeySecrets(database, next), rekeySecrets(database, next)])
  const rows = await database.query<{ id: string; name: string; version: number; keyId: string; nonce: Buffer; sealed: Buffer }>(
    `select id, name, version, key_id as "keyId", nonce, sealed from sluice.secrets where owner_id = $1 and name <> 'lost'`,
    [who.id],
  )
  const all = await database.query<{ count: number }>(`select count(*)::integer as count from sluice.secrets where key_id = $1`, [
    next.currentId,
  ])
  expect(one.sealedAnew + two.sealedAnew).toBe(all[0]!.count + 1)
  const alone = createSecretKeys('the next key of this test')
  const fingerprint = createHash('sha256').update(agent.secret).digest('hex')
  const signer = { id: agent.apiKey.id, signatureKey: signatureKeyOf(agent.secret) }
  expect((await findSigners(database, alone, [fingerprint])).get(fingerprint)).toEqual(signer)
  expect(rows).toHaveLength(220)
  for (const row of rows) expect(alone.unseal(row, { ...row, ownerId: who.id })).toBe(value(Number(row.name.slice(5))))
  const again = await rekeySecrets(database, next)
  expect(again.sealedAnew).toBe(0)
  expect(again.unreadable).toBeGreaterThanOrEqual(1)
})
