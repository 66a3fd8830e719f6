import { describe, expect, test } from 'vitest'
import { encodeId, newUuid } from '../../src/ids.ts'
import type { UserPrincipal } from '../../src/identity/principal.ts'
import { changePassword } from '../../src/operations/people/change-password.ts'
import { listSessions } from '../../src/operations/people/list-sessions.ts'
import { refreshSession } from '../../src/operations/people/refresh-session.ts'
import { signIn } from '../../src/operations/people/sign-in.ts'
import { endSession, signOut } from '../../src/operations/people/sign-out.ts'
import { PASSWORD, people, unwrap } from '../identity/people.ts'

const { database, identity, call, person, audited } = await people({ signInPerMinute: 1_000 })
const PAGE = { limit: 100, descending: true }

/** Signed in so many times; each with its principal and its tokens. */
async function devices(count: number) {
  const user = await person()
  const signedIn = await Promise.all(
    Array.from({ length: count }, async () => {
      const tokens = unwrap(await signIn(call(), { email: user.email, password: PASSWORD }))
      const checked = await identity.authenticate(tokens.accessToken)
      if (!checked.ok) throw new Error(checked.reason)
      return { ...tokens, principal: checked.principal as UserPrincipal }
    }),
  )
  return { user, signedIn }
}
type Device = Awaited<ReturnType<typeof devices>>['signedIn'][number]

/** Whether each is still signed in: its access token and its refresh token. */
const alive = (all: readonly Device[]) =>
  Promise.all(
    all.map(async ({ accessToken, refreshToken }) => {
      const access = (await identity.authenticate(accessToken)).ok
      const refresh = !('problem' in (await refreshSession(call(), { refreshToken })))
      expect(refresh).toBe(access)
      return access
    }),
  )

test('signing out ends the session that asks, its tokens too, and no other; it is audited (B11, B14)', async () => {
  const { user, signedIn } = await devices(2)
  expect(unwrap(await signOut(call(signedIn[0]!.principal), { everywhere: false }))).toEqual({ sessionsEnded: 1 })
  expect(await alive(signedIn)).toEqual([false, true])
  const sessionId = encodeId('session', signedIn[0]!.principal.sessionId)
  expect((await audited('session.ended')).filter(({ actorId }) => actorId === user.id)).toMatchObject([
    { metadata: { sessionId } },
  ])
  expect(await signOut(call(signedIn[0]!.principal), { everywhere: false })).toMatchObject({ problem: 'NOT_FOUND' })
})

test('signing out everywhere ends all sessions of the user, and nobody else’s (B11)', async () => {
  const [mine, theirs] = [await devices(3), await devices(1)]
  expect(unwrap(await signOut(call(mine.signedIn[1]!.principal), { everywhere: true }))).toEqual({ sessionsEnded: 3 })
  expect(await alive(mine.signedIn)).toEqual([false, false, false])
  expect(await alive(theirs.signedIn)).toEqual([true])
})

test('one sees where one is signed in, and can end one of these sessions (B11)', async () => {
  const { signedIn } = await devices(2)
  const [here, there] = signedIn as [Device, Device]
  const seen = await listSessions(call(here.principal), PAGE)
  expect(new Set(seen.map(({ id }) => id))).toEqual(new Set(signedIn.map(({ principal }) => principal.sessionId)))
  expect(seen[0]!.ip).toMatch(/^192\.0\.2\./)
  unwrap(await endSession(call(here.principal), { id: there.principal.sessionId }))
  expect(await alive(signedIn)).toEqual([true, false])
  expect(await listSessions(call(here.principal), PAGE)).toMatchObject([{ id: here.principal.sessionId }])
})

test("somebody else's session is not there (B4)", async () => {
  const [mine, theirs] = [await devices(1), await devices(1)]
  const answers = await Promise.all(
    [theirs.signedIn[0]!.principal.sessionId, newUuid()].map((id) => endSession(call(mine.signedIn[0]!.principal), { id })),
  )
  expect(answers[0]).toEqual(answers[1])
  expect(answers[0]).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await alive(theirs.signedIn)).toEqual([true])
})

describe('changing the password', () => {
  const NEW = 'Better-horse-2'

  test('ends all other sessions, and only the new one signs in; it is audited and mailed (B2, B11, B14)', async () => {
    const { user, signedIn } = await devices(3)
    const me = signedIn[0]!.principal
    unwrap(await changePassword(call(me), { currentPassword: PASSWORD, newPassword: NEW }))
    expect(await alive(signedIn)).toEqual([true, false, false])
    expect(await signIn(call(), { email: user.email, password: PASSWORD })).toMatchObject({ problem: 'UNAUTHENTICATED' })
    unwrap(await signIn(call(), { email: user.email, password: NEW }))
    const events = (await audited('password.changed')).filter(({ actorId }) => actorId === user.id)
    expect(events).toMatchObject([{ metadata: { sessionsEnded: 2 } }])
    expect(await database.query('select kind from sluice.mail_requests where account = $1', [user.email])).toEqual([
      { kind: 'PASSWORD_CHANGED' },
    ])
  })

  test('needs the present one, and a new one that is good and new (B2)', async () => {
    const { user, signedIn } = await devices(2)
    const change = (currentPassword: string, newPassword: string) =>
      changePassword(call(signedIn[0]!.principal), { currentPassword, newPassword })
    expect(await change('Wrong-password-1', NEW)).toMatchObject({ problem: 'UNAUTHENTICATED' })
    expect(await change(PASSWORD, 'short')).toMatchObject({ problem: 'VALIDATION' })
    expect(await change(PASSWORD, `Aa1-${'x'.repeat(69)}`)).toMatchObject({ problem: 'VALIDATION' })
    expect(await change(PASSWORD, PASSWORD)).toMatchObject({ problem: 'VALIDATION' })
    expect(await alive(signedIn)).toEqual([true, true])
    const refused = (await audited('password.changeRefused')).filter(({ actorId }) => actorId === user.id)
    expect(refused).toMatchObject([{ errorCode: 'UNAUTHENTICATED' }])
    expect(JSON.stringify(refused)).not.toMatch(/Wrong-password|Better-horse/)
  })
})

test('whoever found a signed-in screen cannot guess the password on it (B3)', async () => {
  const house = await people({ signInPerMinute: 5 })
  const me = await house.principal()
  const from = house.call(me)
  const guesses = []
  for (let n = 0; n < 6; n += 1) {
    guesses.push(await changePassword(from, { currentPassword: `Guess-number-${n}`, newPassword: 'Better-horse-2' }))
  }
  expect(guesses.map((answer) => 'problem' in answer && answer.problem)).toEqual([
    ...Array.from({ length: 5 }, () => 'UNAUTHENTICATED'),
    'LIMIT_REACHED',
  ])
})
