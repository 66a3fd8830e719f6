import { expect, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { createAuthenticate } from '../../src/identity/authenticate.ts'
import { openSession, revokeSession } from '../../src/identity/sessions.ts'
import { people } from './people.ts'

const { database, identity, person } = await people()

/** Statements that were sent, and a clock of the cache that only moves when told. */
let asked = 0
let now = 0
const counted: Pick<typeof database, 'query'> = {
  query: (text, params) => {
    asked++
    return database.query(text, params)
  },
}
const authenticate = createAuthenticate(identity.tokens, counted, () => now)

async function signedIn(role: 'ADMIN' | 'USER' | 'VIEWER' = 'USER') {
  const user = await person(role)
  const { sessionId } = await database.transaction((em) => openSession(em, user.id))
  const { accessToken, expiresAt } = await identity.tokens.issue(user.id, sessionId)
  return { user, sessionId, accessToken, expiresAt }
}
const REVOKED = { ok: false, reason: 'REVOKED' }

test('a token becomes the principal that it names, with the role of now (C1)', async () => {
  const { user, sessionId, accessToken, expiresAt } = await signedIn('VIEWER')
  expect(await authenticate(accessToken)).toEqual({
    ok: true,
    principal: { kind: 'USER', id: user.id, role: 'VIEWER', handle: user.handle, sessionId, expiresAt },
  })
  await database.query(`update sluice.users set role = 'USER' where id = $1`, [user.id])
  now += 900
  expect(await authenticate(accessToken)).toMatchObject({ principal: { role: 'USER' } })
})

test('simultaneous and later requests share one question for 900 ms (C10)', async () => {
  const { accessToken } = await signedIn()
  asked = 0
  await Promise.all(Array.from({ length: 20 }, () => authenticate(accessToken)))
  now += 899
  await authenticate(accessToken)
  expect(asked).toBe(1)
  now += 1
  await authenticate(accessToken)
  expect(asked).toBe(2)
})

test.each<[string, (it: Awaited<ReturnType<typeof signedIn>>) => Promise<unknown>]>([
  ['its session is revoked', ({ sessionId }) => database.transaction((em) => revokeSession(em, sessionId))],
  [
    'its session is over',
    ({ sessionId }) => database.query('update sluice.sessions set expires_at = now() where id = $1', [sessionId]),
  ],
  ['its user is disabled', ({ user }) => database.query('update sluice.users set disabled_at = now() where id = $1', [user.id])],
  ['its user is deleted', ({ user }) => database.query('delete from sluice.users where id = $1', [user.id])],
])('a token ends within 900 ms when %s (B11)', async (_what, end) => {
  const it = await signedIn()
  expect(await authenticate(it.accessToken)).toMatchObject({ ok: true })
  await end(it)
  now += 900
  expect(await authenticate(it.accessToken)).toEqual(REVOKED)
})

test("a well-signed token for another user's session, or for none, is refused", async () => {
  const { sessionId } = await signedIn()
  const stranger = await person()
  const stolen = await identity.tokens.issue(stranger.id, sessionId)
  const invented = await identity.tokens.issue(stranger.id, newUuid())
  expect(await authenticate(stolen.accessToken)).toEqual(REVOKED)
  expect(await authenticate(invented.accessToken)).toEqual(REVOKED)
})

test('what is wrong with the token itself costs no question', async () => {
  asked = 0
  expect(await authenticate('nonsense')).toEqual({ ok: false, reason: 'INVALID' })
  expect(asked).toBe(0)
})

test('without an answer of the database nobody is let in, and the next request asks again', async () => {
  const { accessToken } = await signedIn()
  let down = true
  const flaky: Pick<typeof database, 'query'> = {
    query: (text, params) => (down ? Promise.reject(new Error('down')) : database.query(text, params)),
  }
  const failing = createAuthenticate(identity.tokens, flaky, () => now)
  await expect(failing(accessToken)).rejects.toThrow('down')
  down = false
  expect(await failing(accessToken)).toMatchObject({ ok: true })
})
