import { describe, expect, test } from 'vitest'
import { encodeId } from '../../src/ids.ts'
import type { Call } from '../../src/operations/call.ts'
import { refreshSession } from '../../src/operations/people/refresh-session.ts'
import { signIn } from '../../src/operations/people/sign-in.ts'
import { PASSWORD, people, unwrap } from '../identity/people.ts'

const { database, identity, call, person, audited } = await people()

const UNAUTHENTICATED = { problem: 'UNAUTHENTICATED', message: 'The credentials are not valid.' }
const fresh = async (as: Call = call()) => ({ as, user: await person(), password: PASSWORD })

describe('signing in', () => {
  test('with the right password opens a session, and the token is good for it (B1)', async () => {
    const user = await person('USER')
    const before = database.clock.now()
    const result = unwrap(await signIn(call(), { email: user.email.toUpperCase(), password: PASSWORD }))
    expect(result.user).toMatchObject({ id: user.id, email: user.email, handle: user.handle, role: 'USER', version: 1 })
    expect(result.accessTokenExpiresAt - before).toBeGreaterThan(30 * 60_000 - 1_001)
    expect(result.accessTokenExpiresAt - before).toBeLessThan(30 * 60_000 + 5_000)
    expect(await identity.authenticate(result.accessToken)).toMatchObject({ ok: true, principal: { id: user.id, role: 'USER' } })
    expect(JSON.stringify(result)).not.toContain('$2b$')
  })

  test('is audited with its session, and a refusal with where it came from, without what was typed (B14, A7)', async () => {
    const { user } = await fresh()
    const from = call()
    unwrap(await signIn(from, { email: user.email, password: PASSWORD }))
    await signIn(from, { email: user.email, password: 'Wrong-password-1' })
    const about = (await audited('signIn.succeeded', 'signIn.refused')).filter((event) => event.ip === from.origin.ip)
    expect(about).toMatchObject([
      {
        type: 'signIn.succeeded',
        success: true,
        actorKind: 'USER',
        actorId: user.id,
        metadata: { sessionId: expect.stringMatching(/^session_/) },
      },
      {
        type: 'signIn.refused',
        success: false,
        actorKind: 'ANONYMOUS',
        actorId: null,
        errorCode: 'UNAUTHENTICATED',
        severity: 'NOTICE',
      },
    ])
    expect(JSON.stringify(about)).not.toMatch(/Wrong-password|example\.com/)
  })

  test('fails alike for a wrong password, an unknown, a disabled and a malformed user (B2)', async () => {
    const { user } = await fresh()
    const disabled = await person()
    await database.query('update sluice.users set disabled_at = now() where id = $1', [disabled.id])
    for (const [email, password] of [
      [user.email, 'Wrong-password-1'],
      [user.email, ''],
      [user.email, 'x'.repeat(100_000)],
      [disabled.email, PASSWORD],
      ['nobody@example.com', PASSWORD],
      ['', ''],
      ['\u0000', 'a\u0000'],
      ['x'.repeat(100_000), PASSWORD],
      ["'; drop table sluice.users; --", PASSWORD],
    ] as const) {
      expect(await signIn(call(), { email, password })).toEqual(UNAUTHENTICATED)
    }
  })

  test('is tried five times a minute from an address on an account; then the answer says when to come back (B3)', async () => {
    const { as, user } = await fresh()
    for (let i = 0; i < 5; i++) {
      expect(await signIn(as, { email: user.email, password: `Wrong-password-${i}` })).toEqual(UNAUTHENTICATED)
    }
    const refused = await signIn(as, { email: ` ${user.email.toUpperCase()} `, password: PASSWORD })
    expect(refused).toMatchObject({ problem: 'LIMIT_REACHED' })
    const { retryAfterMs } = refused as { retryAfterMs: number }
    expect(retryAfterMs).toBeGreaterThan(0)
    expect(retryAfterMs).toBeLessThanOrEqual(60_000)
    unwrap(await signIn(call(), { email: user.email, password: PASSWORD }))
    unwrap(await signIn(as, { email: (await person()).email, password: PASSWORD }))
  })

  test('counts simultaneous attempts, as aliases of one request are (B3)', async () => {
    const { as, user } = await fresh()
    const results = await Promise.all(
      Array.from({ length: 20 }, () => signIn(as, { email: user.email, password: 'Wrong-password-1' })),
    )
    expect(results.filter((result) => 'problem' in result && result.problem === 'LIMIT_REACHED')).toHaveLength(15)
  })

  test('is bounded per address over all accounts (B3)', async () => {
    const as = call()
    const results = []
    for (let i = 0; i < 51; i++) results.push(await signIn(as, { email: `nobody-${i}@example.com`, password: 'x' }))
    expect(results.slice(0, 50)).toEqual(Array.from({ length: 50 }, () => UNAUTHENTICATED))
    expect(results[50]).toMatchObject({ problem: 'LIMIT_REACHED' })
  })
})

describe('refreshing', () => {
  const signedIn = async () => {
    const { as, user } = await fresh()
    return unwrap(await signIn(as, { email: user.email, password: PASSWORD }))
  }
  const refresh = (refreshToken: string, as = call()) => refreshSession(as, { refreshToken })
  const standing = (accessToken: string) => identity.authenticate(accessToken)
  const sessionOf = async (accessToken: string) => {
    const checked = await standing(accessToken)
    return checked.ok && checked.principal.kind === 'USER' ? checked.principal.sessionId : undefined
  }

  test('trades a refresh token for the next one of the same session, and is audited (B1)', async () => {
    const first = await signedIn()
    const second = unwrap(await refresh(first.refreshToken))
    expect(second.refreshToken).not.toBe(first.refreshToken)
    expect(await sessionOf(first.accessToken)).toBeDefined()
    expect(await sessionOf(second.accessToken)).toBe(await sessionOf(first.accessToken))
    const third = unwrap(await refresh(second.refreshToken))
    expect(third.user.id).toBe(first.user.id)
    expect((await audited('session.refreshed')).filter((event) => event.actorId === first.user.id)).toHaveLength(2)
  })

  test('stores hashes, never tokens, and they live 30 days (B1)', async () => {
    const { refreshToken } = await signedIn()
    const rows = await database.query<{ row: string; days: number }>(
      `select t::text as row, extract(day from t.expires_at - t.created_at)::int as days from sluice.refresh_tokens t`,
    )
    expect(rows.map(({ row }) => row).join()).not.toContain(refreshToken.slice(12, 30))
    expect(new Set(rows.map(({ days }) => days))).toEqual(new Set([30]))
  })

  test('twice with one token ends the session with all its tokens, as a warning in the audit log (B1, B14)', async () => {
    const first = await signedIn()
    const second = unwrap(await refresh(first.refreshToken))
    const thief = call()
    expect(await refresh(first.refreshToken, thief)).toEqual(UNAUTHENTICATED)
    expect(await refresh(second.refreshToken)).toEqual(UNAUTHENTICATED)
    const events = (await audited('session.revoked')).filter((event) => event.ip === thief.origin.ip)
    expect(events).toMatchObject([
      { severity: 'WARNING', success: false, errorCode: 'REFRESH_TOKEN_REUSED', actorKind: 'ANONYMOUS' },
    ])
    expect(events[0]?.metadata).toEqual({
      sessionId: expect.stringMatching(/^session_/),
      userId: expect.stringMatching(/^user_/),
    })
    const other = unwrap(await signIn(call(), { email: first.user.email, password: PASSWORD }))
    unwrap(await refresh(other.refreshToken))
  })

  test('20 times at once with one token: one wins, and the session ends (B1)', async () => {
    const first = await signedIn()
    const results = await Promise.all(Array.from({ length: 20 }, () => refresh(first.refreshToken)))
    const won = results.filter((result) => !('problem' in result))
    expect(won).toHaveLength(1)
    const [winner] = won
    expect(await refresh(unwrap(winner!).refreshToken)).toEqual(UNAUTHENTICATED)
    expect(await standing(unwrap(winner!).accessToken)).toEqual({ ok: false, reason: 'REVOKED' })
    const revoked = await audited('session.revoked')
    expect(revoked.filter((event) => event.metadata?.['userId'] === encodeId('user', first.user.id))).toHaveLength(1)
  })

  test('forgets tokens that have expired', async () => {
    const first = await signedIn()
    const second = unwrap(await refresh(first.refreshToken))
    const mine = 'session_id in (select id from sluice.sessions where user_id = $1)'
    await database.query(
      `update sluice.refresh_tokens set expires_at = now() - interval '1 s' where used_at is not null and ${mine}`,
      [first.user.id],
    )
    unwrap(await refresh(second.refreshToken))
    expect(await database.query(`select hash from sluice.refresh_tokens where ${mine}`, [first.user.id])).toHaveLength(2)
  })

  describe('again with the same token and key, after a lost answer (B1)', () => {
    const repeat = (refreshToken: string, idempotencyKey: string) => refreshSession(call(), { refreshToken, idempotencyKey })

    test('gets the same answer, and the session goes on', async () => {
      const first = await signedIn()
      const lost = unwrap(await repeat(first.refreshToken, 'a random key'))
      const found = unwrap(await repeat(first.refreshToken, 'a random key'))
      expect(found.refreshToken).toBe(lost.refreshToken)
      expect(await standing(found.accessToken)).toMatchObject({ ok: true })
      unwrap(await refresh(found.refreshToken))
    })

    test('20 times at once: all get one and the same token', async () => {
      const first = await signedIn()
      const all = await Promise.all(Array.from({ length: 20 }, () => repeat(first.refreshToken, 'one key')))
      expect(new Set(all.map((result) => unwrap(result).refreshToken)).size).toBe(1)
      unwrap(await refresh(unwrap(all[0]!).refreshToken))
    })

    test.each<[string, (token: string) => Promise<unknown>]>([
      ['with another key', (token) => repeat(token, 'key 2')],
      ['without a key', (token) => refresh(token)],
    ])('is a reuse %s: the session ends', async (_how, again) => {
      const first = await signedIn()
      const second = unwrap(await repeat(first.refreshToken, 'key 1'))
      expect(await again(first.refreshToken)).toEqual(UNAUTHENTICATED)
      expect(await refresh(second.refreshToken)).toEqual(UNAUTHENTICATED)
    })

    test('is a reuse once somebody used what came of it, and after a minute', async () => {
      const first = await signedIn()
      const second = unwrap(await repeat(first.refreshToken, 'key'))
      const third = unwrap(await refresh(second.refreshToken))
      expect(await repeat(first.refreshToken, 'key')).toEqual(UNAUTHENTICATED)
      expect(await refresh(third.refreshToken)).toEqual(UNAUTHENTICATED)

      const late = await signedIn()
      unwrap(await repeat(late.refreshToken, 'key'))
      await database.query(
        `update sluice.refresh_tokens set used_at = now() - interval '61 s' where used_at is not null and session_id in
          (select id from sluice.sessions where user_id = $1)`,
        [late.user.id],
      )
      expect(await repeat(late.refreshToken, 'key')).toEqual(UNAUTHENTICATED)
    })

    test('refuses a key that is no key', async () => {
      const first = await signedIn()
      expect(await repeat(first.refreshToken, '')).toMatchObject({ problem: 'VALIDATION' })
      expect(await repeat(first.refreshToken, 'x'.repeat(201))).toMatchObject({ problem: 'VALIDATION' })
      unwrap(await refresh(first.refreshToken))
    })
  })

  test('is refused alike for a token that never was, has expired, or whose user is disabled', async () => {
    for (const never of ['', 'x', 'sluice_rt_', `sluice_rt_${'A'.repeat(43)}`, `sluice_rt_${'A'.repeat(100_000)}`, '\u0000']) {
      expect(await refresh(never)).toEqual(UNAUTHENTICATED)
    }
    const expired = await signedIn()
    await database.query(
      'update sluice.refresh_tokens set expires_at = now() where session_id in (select id from sluice.sessions where user_id = $1)',
      [expired.user.id],
    )
    expect(await refresh(expired.refreshToken)).toEqual(UNAUTHENTICATED)
    const disabled = await signedIn()
    await database.query('update sluice.users set disabled_at = now() where id = $1', [disabled.user.id])
    expect(await refresh(disabled.refreshToken)).toEqual(UNAUTHENTICATED)
  })
})
