/** Signing in, staying signed in, adding users: through the schema, on a real database. */
import { expect, test } from 'vitest'
import { encodeId } from '../../src/ids.ts'
import { testApi } from '../harness/api.ts'

const { person, run, services, audited } = await testApi()

const CREATE = `mutation ($input: CreateUserInput!) { createUser(input: $input) {
  __typename
  ... on CreateUserSuccess { user { id handle email role version createdAt } }
  ... on Problem { code message }
  ... on ValidationProblem { issues { code path } } } }`
const SIGN_IN = `mutation ($input: SignInInput!) { signIn(input: $input) {
  __typename
  ... on SignInSuccess { accessToken accessTokenExpiresAt refreshToken viewer { id email handle role user { handle } } }
  ... on Problem { code message path } } }`
const REFRESH = `mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) {
  __typename
  ... on SignInSuccess { accessToken refreshToken viewer { handle } }
  ... on Problem { code } } }`

const admin = await person('ADMIN')
const newcomer = { email: 'ada@example.com', handle: 'ada', name: 'Ada', password: 'Correct-horse-7', role: 'USER' }

test('an administrator adds a user, who signs in, is the viewer, and stays signed in (B1)', async () => {
  const created = (await run(admin, CREATE, { input: newcomer })).data.createUser
  expect(created).toMatchObject({
    __typename: 'CreateUserSuccess',
    user: { handle: 'ada', email: 'ada@example.com', role: 'USER', version: 1 },
  })

  const session = (await run(undefined, SIGN_IN, { input: { email: newcomer.email, password: newcomer.password } })).data.signIn
  expect(session.viewer).toEqual({
    id: created.user.id,
    email: 'ada@example.com',
    handle: 'ada',
    role: 'USER',
    user: { handle: 'ada' },
  })
  expect(Date.parse(session.accessTokenExpiresAt) - Date.now()).toBeGreaterThan(29 * 60_000)

  const checked = await services.identity.authenticate(session.accessToken)
  expect(checked).toMatchObject({ ok: true, principal: { handle: 'ada', role: 'USER' } })
  const viewer = await run(checked.ok ? checked.principal : undefined, '{ viewer { handle } }')
  expect(viewer.data).toEqual({ viewer: { handle: 'ada' } })

  const refreshed = (await run(undefined, REFRESH, { input: { refreshToken: session.refreshToken } })).data.refreshSession
  expect(refreshed).toMatchObject({ __typename: 'SignInSuccess', viewer: { handle: 'ada' } })
  expect(refreshed.refreshToken).not.toBe(session.refreshToken)
})

test('a wrong password and an unknown user are the same problem', async () => {
  const wrong = await run(undefined, SIGN_IN, { input: { email: newcomer.email, password: 'Wrong-horse-7' } })
  const unknown = await run(undefined, SIGN_IN, { input: { email: 'nobody@example.com', password: 'Wrong-horse-7' } })
  expect(wrong.data).toEqual({
    signIn: {
      __typename: 'UnauthenticatedProblem',
      code: 'UNAUTHENTICATED',
      message: 'The credentials are not valid.',
      path: null,
    },
  })
  expect(unknown.data).toEqual(wrong.data)
})

test('everything wrong with a new user is told at once', async () => {
  const { createUser } = (
    await run(admin, CREATE, { input: { ...newcomer, email: 'nonsense', handle: 'A B', password: 'short' } })
  ).data
  expect(createUser).toMatchObject({ __typename: 'ValidationProblem', code: 'VALIDATION' })
  expect(new Set(createUser.issues.map(({ path }: { path: string[] }) => path[0]))).toEqual(
    new Set(['email', 'handle', 'password']),
  )
})

test('only administrators add users: others are FORBIDDEN, and it is audited (B4, A7)', async () => {
  const user = await person()
  expect((await run(user, CREATE, { input: newcomer })).codes).toEqual(['FORBIDDEN'])
  expect((await run(undefined, CREATE, { input: newcomer })).codes).toEqual(['UNAUTHENTICATED'])
  await services.refusals.runOnce({ all: true })
  expect(await audited(user.id)).toEqual([
    expect.objectContaining({
      type: 'access.refused',
      success: false,
      errorCode: 'FORBIDDEN',
      metadata: { field: 'Mutation.createUser' },
    }),
  ])
})

test('nobody is the viewer without a token, and node needs one (C1)', async () => {
  expect((await run(undefined, '{ viewer { handle } }')).data).toEqual({ viewer: null })
  expect((await run(undefined, `{ node(id: "${encodeId('user', admin.id)}") { id } }`)).codes).toEqual(['UNAUTHENTICATED'])
})

test('others see the handle of a user, not the e-mail and the role', async () => {
  const [one, other] = [await person('VIEWER'), await person()]
  const read = async (who: typeof one) =>
    (await run(who, `{ node(id: "${encodeId('user', one.id)}") { id ... on User { handle email role } } }`)).data.node
  expect(await read(other)).toEqual({ id: encodeId('user', one.id), handle: one.handle, email: null, role: null })
  expect(await read(one)).toMatchObject({ role: 'VIEWER', email: `${one.handle}@example.com` })
  expect(await read(admin)).toMatchObject({ role: 'VIEWER', email: `${one.handle}@example.com` })
})

test('users that several fields name are read at once, and one that is not there is null', async () => {
  const people = [await person(), await person()]
  const ids = [...people.map(({ id }) => encodeId('user', id)), encodeId('user', encodedNobody)]
  const { data } = await run(admin, 'query ($ids: [ID!]!) { nodes(ids: $ids) { ... on User { handle } } }', { ids })
  expect(data.nodes).toEqual([...people.map(({ handle }) => ({ handle })), null])
})
const encodedNobody = '0190a000-0000-7000-8000-000000000000'
