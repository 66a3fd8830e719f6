/** Tokens become principals, are remembered, and are forgotten when what they stand on changes. */
import { expect, test } from 'vitest'
import { queryIn } from '../../src/database/database.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { newUuid } from '../../src/ids.ts'
import { createAuthChanges, recordAuthChange } from '../../src/identity/auth-changes.ts'
import { createAuthenticate, createRenewPrincipals } from '../../src/identity/authenticate.ts'
import type { AuthenticateOptions } from '../../src/identity/authenticate.ts'
import { openSession, revokeSession } from '../../src/identity/sessions.ts'
import { createLog } from '../../src/log.ts'
import { people } from './people.ts'

const { database, identity, person } = await people()
const { authChanges } = identity
const bus = createLocalBus(createLog('silent'))

/** Statements that were sent, and a clock that only moves when told. */
let asked = 0
let late = 0
const counted: AuthenticateOptions['database'] = {
  clock: { ...database.clock, now: () => database.clock.now() + late },
  query: (text, params) => {
    asked++
    return database.query(text, params)
  },
}
const authenticate = createAuthenticate({ tokens: identity.tokens, database: counted, authChanges })

async function signedIn(role: 'ADMIN' | 'USER' | 'VIEWER' = 'USER') {
  const user = await person(role)
  const { sessionId } = await database.transaction((em) => openSession(em, user.id))
  const { accessToken, expiresAt } = await identity.tokens.issue(user.id, sessionId)
  return { user, sessionId, accessToken, expiresAt }
}
type SignedIn = Awaited<ReturnType<typeof signedIn>>
const REVOKED = { ok: false, reason: 'REVOKED' }

test('a token becomes the principal that it names, with the role of now (C1)', async () => {
  const { user, sessionId, accessToken, expiresAt } = await signedIn('VIEWER')
  expect(await authenticate(accessToken)).toEqual({
    ok: true,
    principal: { kind: 'USER', id: user.id, actsAs: user.id, role: 'VIEWER', handle: user.handle, sessionId, expiresAt },
  })
  await database.transaction(async (em) => {
    await queryIn(em, `update sluice.users set role = 'USER' where id = $1`, [user.id])
    await recordAuthChange(em, `user:${user.id}`)
  })
  expect(await authenticate(accessToken)).toMatchObject({ principal: { role: 'USER' } })
})

test('simultaneous and later requests share one question, until something changes (C10)', async () => {
  const { user, accessToken } = await signedIn()
  const other = await signedIn()
  await authenticate(other.accessToken)
  asked = 0
  await Promise.all(Array.from({ length: 20 }, () => authenticate(accessToken)))
  await authenticate(accessToken)
  expect(asked).toBe(1)
  await database.transaction((em) => recordAuthChange(em, `user:${user.id}`))
  await authenticate(accessToken)
  await authenticate(other.accessToken)
  expect(asked).toBe(2)
})

const inOne = (text: string, { user, sessionId }: SignedIn) =>
  database.transaction(async (em) => {
    await queryIn(em, text, [text.includes('sessions') ? sessionId : user.id])
    await recordAuthChange(em, `user:${user.id}`)
  })

test.each<[string, (it: SignedIn) => Promise<unknown>]>([
  ['its session is revoked', ({ sessionId }) => database.transaction((em) => revokeSession(em, sessionId))],
  ['its user is disabled', (it) => inOne('update sluice.users set disabled_at = now() where id = $1', it)],
  ['its user is deleted', (it) => inOne('delete from sluice.users where id = $1', it)],
])('a token ends at once in this process, and by the next poll in others, when %s (B11)', async (_what, end) => {
  const it = await signedIn()
  const elsewhere = createAuthChanges({ database: { ...database, onCommitted: () => undefined }, bus, log: createLog('silent') })
  const other = createAuthenticate({ tokens: identity.tokens, database: counted, authChanges: elsewhere })
  expect(await authenticate(it.accessToken)).toMatchObject({ ok: true })
  expect(await other(it.accessToken)).toMatchObject({ ok: true })
  await end(it)
  expect(await authenticate(it.accessToken)).toEqual(REVOKED)
  await elsewhere.runOnce()
  expect(await other(it.accessToken)).toEqual(REVOKED)
})

test('a remembered token ends at its own end, and at the end of its session if that comes first (B11)', async () => {
  const it = await signedIn()
  await authenticate(it.accessToken)
  const short = await signedIn()
  await database.query(`update sluice.sessions set expires_at = now() + interval '1 minute' where id = $1`, [short.sessionId])
  await authenticate(short.accessToken)
  late = 61_000
  expect(await authenticate(short.accessToken)).toEqual({ ok: false, reason: 'EXPIRED' })
  expect(await authenticate(it.accessToken)).toMatchObject({ ok: true })
  late = it.expiresAt - database.clock.now()
  expect(await authenticate(it.accessToken)).toEqual({ ok: false, reason: 'EXPIRED' })
  late = 0
})

test('an answer that was on its way when things changed is asked for again', async () => {
  const it = await signedIn()
  const answered = Promise.withResolvers<void>()
  const changed = Promise.withResolvers<void>()
  const slow: AuthenticateOptions['database'] = {
    ...database,
    async query(text, params) {
      const rows = await database.query(text, params)
      answered.resolve()
      await changed.promise
      return rows as never
    },
  }
  const authenticateSlowly = createAuthenticate({ tokens: identity.tokens, database: slow, authChanges })
  const before = authenticateSlowly(it.accessToken)
  await answered.promise
  await database.transaction((em) => revokeSession(em, it.sessionId))
  const after = authenticateSlowly(it.accessToken)
  changed.resolve()
  expect(await before).toEqual(REVOKED)
  expect(await after).toEqual(REVOKED)
  expect(await authenticateSlowly(it.accessToken)).toEqual(REVOKED)
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
  const flaky: AuthenticateOptions['database'] = {
    ...database,
    query: (text, params) => (down ? Promise.reject(new Error('down')) : database.query(text, params)),
  }
  const failing = createAuthenticate({ tokens: identity.tokens, database: flaky, authChanges })
  await expect(failing(accessToken)).rejects.toThrow('down')
  down = false
  expect(await failing(accessToken)).toMatchObject({ ok: true })
})

test('many principals are renewed by one question: those that are no more are missing', async () => {
  const [it, gone] = [await signedIn(), await signedIn()]
  const authenticated = await Promise.all([it, gone, it].map(({ accessToken }) => authenticate(accessToken)))
  const principals = authenticated.map((one) => (one.ok ? one.principal : expect.fail()))
  await database.transaction((em) => revokeSession(em, gone.sessionId))
  await database.query(`update sluice.users set role = 'VIEWER' where id = $1`, [it.user.id])
  asked = 0
  const now = { ...principals[0], role: 'VIEWER' }
  expect(await createRenewPrincipals(counted)(principals)).toEqual([now, undefined, now])
  expect(asked).toBe(1)
})
