/** Forged access tokens: other algorithms, other keys, key ids that lead elsewhere, claims of others; also with the real key in hand. */
import { createHmac, generateKeyPairSync, createSign } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { codeOf } from '../trial.ts'
import type { Outcome, Topic } from '../trial.ts'

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const hmac = (hash: string, key: string | Buffer, text: string): string => createHmac(hash, key).update(text).digest('base64url')

export const tokens: Topic = {
  name: 'tokens',
  about: 'JWT: alg none, confusion of algorithms, kid, jku, claims, expiry, signatures that are cut or borrowed',
  async run({ world, attempt }) {
    const { client, attacker, admin, target } = world
    const header = decodeProtectedHeader(attacker.token)
    const claims = decodeJwt(attacker.token)
    const asAdmin = { ...claims, sub: decodeJwt(admin.token).sub }
    const [adminHead, adminBody] = admin.token.split('.') as [string, string, string]
    const signature = attacker.token.split('.')[2]!
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
    const publicPem = publicKey.export({ type: 'spki', format: 'pem' })

    const signed = (head: object, body: object, key: string | Buffer = target.jwtSecret, hash = 'sha256'): string => {
      const text = `${encode(head)}.${encode(body)}`
      return `${text}.${hmac(hash, key, text)}`
    }
    const withRsa = (): string => {
      const text = `${encode({ ...header, alg: 'RS256' })}.${encode(asAdmin)}`
      return `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey, 'base64url')}`
    }
    const now = Math.floor(Date.now() / 1_000)

    const forged: Record<string, string> = {
      'alg none': `${encode({ ...header, alg: 'none' })}.${encode(asAdmin)}.`,
      'alg None': `${encode({ ...header, alg: 'None' })}.${encode(asAdmin)}.`,
      'alg NONE with a signature': `${encode({ ...header, alg: 'NONE' })}.${encode(asAdmin)}.${signature}`,
      'no alg': `${encode({ ...header, alg: undefined })}.${encode(asAdmin)}.${signature}`,
      'alg as a list': `${encode({ ...header, alg: ['HS256', 'none'] })}.${encode(asAdmin)}.${signature}`,
      'no signature': `${adminHead}.${adminBody}.`,
      'two parts': `${adminHead}.${adminBody}`,
      'a borrowed signature': `${adminHead}.${adminBody}.${signature}`,
      'a cut signature': admin.token.slice(0, -2),
      'a longer signature': `${admin.token}AA`,
      'four parts': `${admin.token}.AAAA`,
      'an empty key': signed(header, asAdmin, Buffer.alloc(0)),
      'a guessed key': signed(header, asAdmin, 'secret'),
      'the kid as the key': signed(header, asAdmin, String(header.kid)),
      'a public key as the secret (RS/HS)': signed({ ...header, alg: 'HS256' }, asAdmin, Buffer.from(publicPem)),
      'RS256 by a key of mine': withRsa(),
      'a key in the header (jwk)': signed(
        { ...header, jwk: { kty: 'oct', k: Buffer.from('mine').toString('base64url') } },
        asAdmin,
        'mine',
      ),
      'a key elsewhere (jku, x5u)': signed({ ...header, jku: `${client.url}/jwks`, x5u: `${client.url}/x5u` }, asAdmin, 'mine'),
      'kid as a path': signed({ ...header, kid: '../../../../dev/null' }, asAdmin, ''),
      'kid as SQL': signed({ ...header, kid: "x' union select 'mine" }, asAdmin, 'mine'),
      'kid as a name of objects': signed({ ...header, kid: '__proto__' }, asAdmin, ''),
      'kid as an object': signed({ ...header, kid: { toString: 'x' } }, asAdmin, ''),
      'no kid': signed({ ...header, kid: undefined }, asAdmin, 'mine'),
      'an unknown critical extension': signed({ ...header, crit: ['exp2'], exp2: 1 }, claims),
      'an unencoded payload (b64)': signed({ ...header, b64: false, crit: ['b64'] }, claims),
      // from here on with the real secret: as by another service that shares it
      'HS512 by the real secret': signed({ ...header, alg: 'HS512' }, claims, target.jwtSecret, 'sha512'),
      'another audience': signed(header, { ...claims, aud: 'another-api' }),
      'no audience': signed(header, { ...claims, aud: undefined }),
      'another issuer': signed(header, { ...claims, iss: 'somebody' }),
      'another type (a refresh or id token)': signed({ ...header, typ: 'JWT' }, claims),
      'no type': signed({ ...header, typ: undefined }, claims),
      expired: signed(header, { ...claims, iat: now - 7_200, exp: now - 60 }),
      'no expiry': signed(header, { ...claims, exp: undefined }),
      'expiry as text': signed(header, { ...claims, exp: '9999999999' }),
      'not yet good': signed(header, { ...claims, nbf: now + 3_600 }),
      "another's session": signed(header, { ...claims, sub: asAdmin.sub }),
      'no session': signed(header, { ...claims, sid: undefined }),
      'a session that never was': signed(header, { ...claims, sid: 'session_01h455vb4pex5vsknk084sn02q' }),
      'sub as a list': signed(header, { ...claims, sub: [asAdmin.sub] }),
      'a role of my own': signed(header, { ...claims, sub: undefined, role: 'ADMIN' }),
      'a body that is no object': signed(header, ['ADMIN']),
      'text that is no token': 'x.y.z',
      'a token of great length': `${admin.token}${'A'.repeat(8_000)}`,
    }
    const judge = async (token: string): Promise<Outcome> => {
      const { data, ...answer } = await client.send('{ viewer { id role } }', { token })
      if (data?.viewer) return `it is taken for ${JSON.stringify(data.viewer)}`
      return codeOf(answer) === 'UNAUTHENTICATED' || answer.status === 431
        ? undefined
        : `answered ${answer.status} ${codeOf(answer)}`
    }
    for (const [what, token] of Object.entries(forged)) {
      await attempt(what, () => judge(token))
    }
    await attempt('forged tokens at the other door', async () => {
      for (const [what, token] of Object.entries(forged)) {
        const socket = await client.open()
        socket?.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })
        const ack = await socket?.next(({ type }) => type === 'connection_ack', 2_000)
        socket?.close()
        if (ack) return `${what} was acknowledged`
      }
      return undefined
    })
    await attempt('a token after sign-out', async () => {
      const { email, password } = attacker
      const again = await client.mutate(undefined, 'signIn', { email, password }, 'accessToken')
      await client.mutate(again.accessToken, 'signOut', {})
      return judge(again.accessToken)
    })
  },
}
