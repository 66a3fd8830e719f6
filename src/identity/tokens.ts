/** Access tokens: JWT, HS256 and nothing else, good for 30 minutes, naming a user and a session (B1). RFC 9068 for their type. */
import { createHmac } from 'node:crypto'
import type { JWTHeaderParameters } from 'jose'
import { JOSEError, JWKSNoMatchingKey, JWTExpired } from 'jose/errors'
import { SignJWT } from 'jose/jwt/sign'
import { jwtVerify } from 'jose/jwt/verify'
import { decodeId, encodeId } from '../ids.ts'

export const ACCESS_TOKEN_MS = 30 * 60_000
const ISSUER = 'sluice'
const AUDIENCE = 'sluice-api'
const TYPE = 'at+jwt'
/** Ours have about 300; longer ones are refused before any work is done on them. */
const MAX_LENGTH = 2_048

/** Milliseconds since 1970. */
export interface Clock {
  now(): number
}

export interface AccessToken {
  userId: string
  sessionId: string
  /** ms since 1970 */
  expiresAt: number
}

/** EXPIRED: it was good, come back with a new one. INVALID: it never was one of ours. */
export type TokenCheck = { ok: true; token: AccessToken } | { ok: false; reason: 'EXPIRED' | 'INVALID' }

export interface Tokens {
  issue(userId: string, sessionId: string): Promise<{ accessToken: string; expiresAt: number }>
  check(accessToken: string): Promise<TokenCheck>
}

/** `signing` signs; `previous` signed before and still verify, until the last of their tokens has expired. */
export interface JwtSecrets {
  readonly signing: string
  readonly previous?: readonly string[]
}

export function createTokens(secrets: JwtSecrets, clock: Clock): Tokens {
  const keys = new Map([secrets.signing, ...(secrets.previous ?? [])].map((secret) => [kidOf(secret), keyOf(secret)]))
  const kid = kidOf(secrets.signing)
  /** A look-up in a map of our own and nothing else: no path, no URL, no query is ever made of a `kid`. */
  const keyFor = (header: JWTHeaderParameters): Uint8Array => {
    const key = typeof header.kid === 'string' ? keys.get(header.kid) : undefined
    if (!key) throw new JWKSNoMatchingKey()
    return key
  }

  return {
    async issue(userId, sessionId) {
      const issuedAt = Math.floor(clock.now() / 1_000)
      const expiresAt = issuedAt + ACCESS_TOKEN_MS / 1_000
      const accessToken = await new SignJWT({ sid: encodeId('session', sessionId) })
        .setProtectedHeader({ alg: 'HS256', typ: TYPE, kid })
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setSubject(encodeId('user', userId))
        .setIssuedAt(issuedAt)
        .setExpirationTime(expiresAt)
        .sign(keys.get(kid)!)
      return { accessToken, expiresAt: expiresAt * 1_000 }
    },

    async check(accessToken) {
      if (accessToken.length > MAX_LENGTH) return { ok: false, reason: 'INVALID' }
      return verify(accessToken, keyFor, clock.now())
    },
  }
}

const keyOf = (secret: string): Uint8Array => new TextEncoder().encode(secret)
/** Names a secret without telling of it: 64 bits of an HMAC. */
export const kidOf = (secret: string): string => createHmac('sha256', secret).update('sluice jwt kid').digest('hex').slice(0, 16)

async function verify(
  accessToken: string,
  keyFor: (header: JWTHeaderParameters) => Uint8Array,
  now: number,
): Promise<TokenCheck> {
  try {
    const { payload } = await jwtVerify(accessToken, keyFor, {
      algorithms: ['HS256'],
      typ: TYPE,
      issuer: ISSUER,
      audience: AUDIENCE,
      requiredClaims: ['sub', 'sid', 'iat', 'exp'],
      currentDate: new Date(now),
    })
    const { sub, sid, exp } = payload
    const userId = typeof sub === 'string' ? decodeId('user', sub) : undefined
    const sessionId = typeof sid === 'string' ? decodeId('session', sid) : undefined
    if (!userId || !sessionId) return { ok: false, reason: 'INVALID' }
    return { ok: true, token: { userId, sessionId, expiresAt: exp! * 1_000 } }
  } catch (error) {
    // jose looks at the time after everything else: what has merely expired is ours
    if (error instanceof JWTExpired) return { ok: false, reason: 'EXPIRED' }
    if (error instanceof JOSEError) return { ok: false, reason: 'INVALID' }
    throw error
  }
}
