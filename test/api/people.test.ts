/** People, their sessions and passwords as documents see them. */
import { expect, test } from 'vitest'
import { encodeId, newUuid } from '../../src/ids.ts'
import type { UserPrincipal } from '../../src/identity/principal.ts'
import { testApi } from '../harness/api.ts'

const { person, run, services } = await testApi()
const PASSWORD = 'Correct-horse-1'

const CREATE = `mutation ($input: CreateUserInput!) {
  createUser(input: $input) { ... on CreateUserSuccess { user { id email handle role disabled version } } ... on Problem { code } }
}`
const SIGN_IN = `mutation ($input: SignInInput!) {
  signIn(input: $input) { ... on SignInSuccess { accessToken refreshToken } ... on Problem { code } }
}`

let number = 0
/** Made by an administrator, and signed in by its password. */
async function signedIn(admin: UserPrincipal, role = 'USER') {
  number += 1
  const input = { email: `someone-${number}@example.com`, handle: `someone-${number}`, name: 'Someone', password: PASSWORD, role }
  const { data } = await run(admin, CREATE, { input })
  const answer = await run(undefined, SIGN_IN, { input: { email: input.email, password: PASSWORD } })
  const checked = await services.identity.authenticate(answer.data.signIn.accessToken)
  if (!checked.ok) throw new Error(checked.reason)
  return { ...input, ...data.createUser.user, ...answer.data.signIn, principal: checked.principal as UserPrincipal }
}

test('an administrator lists, changes and deletes users (B4)', async () => {
  const admin = await person('ADMIN')
  const it = await signedIn(admin)
  const LIST = `query ($filter: UserFilter) {
    users(filter: $filter, first: 5) { edges { node { id name email role disabled version createdAt } } pageInfo { hasNextPage } }
  }`
  const found = async (filter: object) => (await run(admin, LIST, { filter })).data.users.edges
  expect(await found({ handle: it.handle })).toMatchObject([
    { node: { id: it.id, email: it.email, role: 'USER', disabled: false } },
  ])
  expect(await found({ role: ['VIEWER'], handle: it.handle })).toEqual([])

  const UPDATE = `mutation ($input: UpdateUserInput!) {
    updateUser(input: $input) {
      ... on UpdateUserSuccess { user { name role disabled version } }
      ... on StaleVersionProblem { currentVersion }
      ... on Problem { code }
    }
  }`
  const update = async (input: object) => (await run(admin, UPDATE, { input: { id: it.id, ...input } })).data.updateUser
  expect(await update({ expectedVersion: 1, name: 'Else', role: 'VIEWER', disabled: true })).toEqual({
    user: { name: 'Else', role: 'VIEWER', disabled: true, version: 2 },
  })
  expect(await update({ expectedVersion: 1, name: 'Stale' })).toEqual({ code: 'STALE_VERSION', currentVersion: 2 })
  expect((await run(admin, UPDATE, { input: { id: 'user_nonsense', expectedVersion: 1 } })).data.updateUser.code).toBe(
    'NOT_FOUND',
  )

  const DELETE = `mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { ... on DeleteUserSuccess { userId } ... on Problem { code } } }`
  const { data } = await run(admin, DELETE, { input: { id: it.id, expectedVersion: 2 } })
  expect(data.deleteUser).toEqual({ userId: it.id })
  expect(await found({ handle: it.handle })).toEqual([])
})

test.each(['USER', 'VIEWER'] as const)('a %s may see no users, no outbox, and change nobody (B4)', async (role) => {
  const somebody = await person(role)
  const id = encodeId('user', newUuid())
  for (const document of [
    '{ users { edges { node { id } } } }',
    '{ outbox { text } }',
    `mutation { updateUser(input: { id: "${id}", expectedVersion: 1, role: ADMIN }) { __typename } }`,
    `mutation { deleteUser(input: { id: "${id}", expectedVersion: 1 }) { __typename } }`,
  ]) {
    expect((await run(somebody, document)).codes, document).toEqual(['FORBIDDEN'])
    expect((await run(undefined, document)).codes, document).toEqual(['UNAUTHENTICATED'])
  }
})

test('one sees one’s sessions, ends one of them, then all; nobody else’s (B4, B11)', async () => {
  const admin = await person('ADMIN')
  const [it, other] = [await signedIn(admin), await signedIn(admin)]
  await run(undefined, SIGN_IN, { input: { email: it.email, password: PASSWORD } })
  const SESSIONS =
    '{ viewer { sessions(first: 10) { edges { node { id current createdAt refreshedAt expiresAt ip userAgent } } } } }'
  const sessions = async (): Promise<{ id: string; current: boolean }[]> =>
    (await run(it.principal, SESSIONS)).data.viewer.sessions.edges.map((edge: { node: unknown }) => edge.node)
  const all = await sessions()
  expect(all).toMatchObject([
    { current: false, ip: '192.0.2.1' },
    { current: true, id: encodeId('session', it.principal.sessionId) },
  ])
  const REVOKE = `mutation ($id: ID!) { revokeSession(input: { id: $id }) { ... on RevokeSessionSuccess { sessionsEnded } ... on Problem { code } } }`
  const theirs = encodeId('session', other.principal.sessionId)
  const refused = await Promise.all(
    [theirs, encodeId('session', newUuid()), 'nonsense'].map((id) => run(it.principal, REVOKE, { id })),
  )
  expect(new Set(refused.map((answer) => JSON.stringify(answer)))).toEqual(new Set([JSON.stringify(refused[0])]))
  expect(refused[0]!.data.revokeSession).toEqual({ code: 'NOT_FOUND' })
  expect((await run(it.principal, REVOKE, { id: all[0]!.id })).data.revokeSession).toEqual({ sessionsEnded: 1 })
  expect(await sessions()).toHaveLength(1)
  const OUT = 'mutation { signOut(input: { everywhere: true }) { ... on SignOutSuccess { sessionsEnded } } }'
  expect((await run(it.principal, OUT)).data.signOut).toEqual({ sessionsEnded: 1 })
  expect(await services.identity.authenticate(it.accessToken)).toEqual({ ok: false, reason: 'REVOKED' })
  expect(await services.identity.authenticate(other.accessToken)).toMatchObject({ ok: true })
})

test('a forgotten password goes through the outbox of development, which administrators see (B2)', async () => {
  const admin = await person('ADMIN')
  const it = await signedIn(admin)
  const ask = async (email: string) =>
    (
      await run(undefined, 'mutation ($email: String!) { requestPasswordReset(input: { email: $email }) { __typename } }', {
        email,
      })
    ).data
  expect(await ask('nobody@example.com')).toEqual(await ask(it.email))
  const outbox = async () => (await run(admin, '{ outbox { to subject text at } }')).data.outbox as { to: string; text: string }[]
  await expect.poll(async () => (await outbox()).filter(({ to }) => to === it.email).length).toBe(1)
  const [token] = /sluice_pr_[\w-]+/.exec((await outbox())[0]!.text)!
  const RESET = `mutation ($token: String!, $password: String!) {
    resetPassword(input: { token: $token, password: $password }) { ... on ResetPasswordSuccess { sessionsEnded } ... on Problem { code } }
  }`
  const reset = async (password: string) => (await run(undefined, RESET, { token, password })).data.resetPassword
  expect(await reset('weak')).toEqual({ code: 'VALIDATION' })
  expect(await reset('Better-horse-2')).toEqual({ sessionsEnded: 1 })
  expect(await reset('Better-horse-3')).toEqual({ code: 'UNAUTHENTICATED' })
})

test('a changed password and a repeated refresh, as documents (B1, B2)', async () => {
  const it = await signedIn(await person('ADMIN'))
  const CHANGE = `mutation ($input: ChangePasswordInput!) {
    changePassword(input: $input) { ... on ChangePasswordSuccess { sessionsEnded } ... on Problem { code path } }
  }`
  const change = async (currentPassword: string) =>
    (await run(it.principal, CHANGE, { input: { currentPassword, newPassword: 'Better-horse-2' } })).data.changePassword
  expect(await change('Wrong-horse-1')).toEqual({ code: 'UNAUTHENTICATED', path: ['currentPassword'] })
  expect(await change(PASSWORD)).toEqual({ sessionsEnded: 0 })

  const REFRESH = `mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { ... on SignInSuccess { refreshToken } ... on Problem { code } } }`
  const input = { refreshToken: it.refreshToken, idempotencyKey: 'chosen by chance' }
  const [lost, found] = [await run(undefined, REFRESH, { input }), await run(undefined, REFRESH, { input })]
  expect(found.data).toEqual(lost.data)
  expect(found.data.refreshSession.refreshToken).toMatch(/^sluice_rt_/)
})
