import { base64url, SignJWT } from 'jose'
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { encodeId, newUuid } from '../../src/ids.ts'
import { ACCESS_TOKEN_MS, createTokens } from '../../src/identity/tokens.ts'

const secret = randomBytes(32).toString('hex')
const key = new TextEncoder().encode(secret)
const START = Date.UTC(2026, 10, 1)
let now = START
const tokens = createTokens(secret, { now: () => now })
const userId = newUuid()
const sessionId = newUuid()

const claims = { sub: encodeId('user', userId), sid: encodeId('session', sessionId) }
interface Forgery {
  header?: Record<string, unknown>
  claims?: Record<string, unknown>
  key?: Uint8Array
}
/** A good token but for what is given; null removes a claim. */
function forge(forgery: Forgery = {}): Promise<string> {
  const good = { iss: 'sluice', aud: 'sluice-api', iat: START / 1_000, exp: START / 1_000 + 1_800, ...claims }
  const payload = Object.fromEntries(Object.entries({ ...good, ...forgery.claims }).filter(([, value]) => value !== null))
  return new SignJWT(payload).setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', ...forgery.header }).sign(forgery.key ?? key)
}
const INVALID = { ok: false, reason: 'INVALID' }

test('an access token names its user and session for 30 minutes, and is expired from then on (B1)', async () => {
  now = START
  const { accessToken, expiresAt } = await tokens.issue(userId, sessionId)
  expect(expiresAt - START).toBe(30 * 60_000)
  expect(ACCESS_TOKEN_MS).toBe(30 * 60_000)
  const good = { ok: true, token: { userId, sessionId, expiresAt } }
  expect(await tokens.check(accessToken)).toEqual(good)
  now = expiresAt - 1
  expect(await tokens.check(accessToken)).toEqual(good)
  now = expiresAt
  expect(await tokens.check(accessToken), 'remembered').toEqual({ ok: false, reason: 'EXPIRED' })
  expect(await createTokens(secret, { now: () => now }).check(accessToken), 'not remembered').toEqual({
    ok: false,
    reason: 'EXPIRED',
  })
  now = START
})

test('the forger of these tests makes good tokens when asked to', async () => {
  expect(await tokens.check(await forge())).toMatchObject({ ok: true, token: { userId, sessionId } })
})

describe('refused as invalid (B1, B11)', () => {
  test('a token without a signature, whatever its alg is called', async () => {
    const [, payload, signature] = (await forge()).split('.')
    for (const alg of ['none', 'None', 'NONE', 'HS256', '']) {
      const header = base64url.encode(JSON.stringify({ alg, typ: 'at+jwt' }))
      expect(await tokens.check(`${header}.${payload}.`)).toEqual(INVALID)
      if (alg !== 'HS256') expect(await tokens.check(`${header}.${payload}.${signature}`)).toEqual(INVALID)
    }
  })

  test.each<[string, Forgery]>([
    ['of another type', { header: { typ: 'JWT' } }],
    ['without a type', { header: { typ: undefined } }],
    ['of another issuer', { claims: { iss: 'other' } }],
    ['without an issuer', { claims: { iss: null } }],
    ['for another audience', { claims: { aud: 'other-api' } }],
    ['without an audience', { claims: { aud: null } }],
    ['signed by somebody else', { key: randomBytes(32) }],
    ['signed with another algorithm', { header: { alg: 'HS512' }, key: randomBytes(64) }],
    ['without an end', { claims: { exp: null } }],
    ['without a session', { claims: { sid: null } }],
    ['without a user', { claims: { sub: null } }],
    ['whose user is a bare UUID', { claims: { sub: userId } }],
    ['whose session is the id of a user', { claims: { sid: encodeId('user', userId) } }],
    ['that is not valid yet', { claims: { nbf: START / 1_000 + 60 } }],
    ['signed by somebody else and expired', { key: randomBytes(32), claims: { exp: 1 } }],
    ['for another audience and expired', { claims: { aud: 'other-api', exp: 1 } }],
  ])('a token %s', async (_what, forgery) => {
    expect(await tokens.check(await forge(forgery))).toEqual(INVALID)
  })

  test.each(['', '.', '..', 'a.b.c', 'Bearer x', '\u0000', 'é'.repeat(50), 'x'.repeat(1_000_000)])(
    'the text %j',
    async (text) => {
      expect(await tokens.check(text)).toEqual(INVALID)
    },
  )

  test('a token of which one letter was changed', async () => {
    const token = await forge()
    // but for the last: two of its bits are padding
    for (let i = 0; i < token.length - 1; i += 7) {
      const changed = token.slice(0, i) + (token[i] === 'A' ? 'B' : 'A') + token.slice(i + 1)
      expect(await tokens.check(changed), `letter ${i}`).toEqual(INVALID)
    }
  })
})

test('an expired token is told from an invalid one (B11)', async () => {
  expect(await tokens.check(await forge({ claims: { exp: START / 1_000 - 1 } }))).toEqual({ ok: false, reason: 'EXPIRED' })
})
