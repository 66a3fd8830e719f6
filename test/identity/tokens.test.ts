import { base64url, decodeProtectedHeader, SignJWT } from 'jose'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { encodeId, newUuid } from '../../src/ids.ts'
import { ACCESS_TOKEN_MS, createTokens, kidOf } from '../../src/identity/tokens.ts'

const secret = randomBytes(32).toString('hex')
const key = new TextEncoder().encode(secret)
const START = Date.UTC(2026, 10, 1)
let now = START
const tokens = createTokens({ signing: secret }, { now: () => now })
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
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: kidOf(secret), ...forgery.header })
    .sign(forgery.key ?? key)
}
const OWN_KEY = randomBytes(32)
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
  expect(await tokens.check(accessToken)).toEqual({ ok: false, reason: 'EXPIRED' })
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
    ['without a key id', { header: { kid: undefined } }],
    ['with the id of another key', { header: { kid: kidOf('other') } }],
    ['whose key id is a path', { header: { kid: '../../../../dev/null' }, key: new Uint8Array(32) }],
    ['whose key id is a query', { header: { kid: "x' union select '" } }],
    ['whose key id is a property that every object has', { header: { kid: '__proto__' } }],
    ['whose key id is no text', { header: { kid: [kidOf(secret)] } }],
    ['that brings its own key', { header: { jwk: { kty: 'oct', k: base64url.encode(OWN_KEY) } }, key: OWN_KEY }],
    [
      'that says where its key lies',
      { header: { jku: 'https://evil.example/keys', x5u: 'https://evil.example/cert' }, key: OWN_KEY },
    ],
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

describe('changing the secret (B1)', () => {
  const next = createTokens({ signing: randomBytes(32).toString('hex'), previous: [secret] }, { now: () => now })

  test('what the last one signed stays good until it expires', async () => {
    const { accessToken, expiresAt } = await tokens.issue(userId, sessionId)
    expect(await next.check(accessToken)).toMatchObject({ ok: true, token: { userId } })
    now = expiresAt
    expect(await next.check(accessToken)).toEqual({ ok: false, reason: 'EXPIRED' })
    now = START
  })

  test('the new one signs, and whoever does not know it yet refuses', async () => {
    const { accessToken } = await next.issue(userId, sessionId)
    expect(decodeProtectedHeader(accessToken).kid).not.toBe(kidOf(secret))
    expect(await next.check(accessToken)).toMatchObject({ ok: true })
    expect(await tokens.check(accessToken)).toEqual(INVALID)
  })

  test('one that was taken off the list ends its tokens', async () => {
    const { accessToken } = await tokens.issue(userId, sessionId)
    expect(await createTokens({ signing: randomBytes(32).toString('hex') }, { now: () => now }).check(accessToken)).toEqual(
      INVALID,
    )
  })

  test('one key cannot sign in the name of another', async () => {
    const old = randomBytes(32)
    const both = createTokens({ signing: secret, previous: [old.toString('hex')] }, { now: () => now })
    expect(await both.check(await forge({ key: new TextEncoder().encode(old.toString('hex')) }))).toEqual(INVALID)
  })

  test('the id of a key tells nothing of it', () => {
    expect(kidOf(secret)).toMatch(/^[0-9a-f]{16}$/)
    expect(secret).not.toContain(kidOf(secret))
  })
})

test('a token signed with RS256 by a key whose public half is our secret is refused: one algorithm and no other (B1)', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const confused = createTokens({ signing: pem }, { now: () => now })
  const good = { iss: 'sluice', aud: 'sluice-api', iat: START / 1_000, exp: START / 1_000 + 1_800, ...claims }
  const sign = (alg: string, kid: string) => new SignJWT(good).setProtectedHeader({ alg, typ: 'at+jwt', kid }).sign(privateKey)
  for (const alg of ['RS256', 'PS256']) expect(await confused.check(await sign(alg, kidOf(pem)))).toEqual(INVALID)
})

test('an expired token is told from an invalid one (B11)', async () => {
  expect(await tokens.check(await forge({ claims: { exp: START / 1_000 - 1 } }))).toEqual({ ok: false, reason: 'EXPIRED' })
})
