/**
 * What the server signs its messages to agents with: Ed25519, so that one message can be verified by many agents, none of which can
 * sign another. The key comes out of the one that seals secrets: workers have that too, and not the secret that signs tokens.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import type { SecretKeys } from './secret-keys.ts'

export interface MessageKeys {
  /** 32 bytes in base64url, for whoever verifies */
  readonly publicKey: string
  /** base64url */
  sign(text: string): string
}

/** PKCS #8 of an Ed25519 key is this and the 32 bytes of its seed. RFC 8410, section 7 */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

export function createMessageKeys(secretKeys: Pick<SecretKeys, 'derive'>): MessageKeys {
  const seed = secretKeys.derive('ed25519 seed of agent messages 1')
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  return {
    publicKey: createPublicKey(privateKey).export({ format: 'jwk' }).x!,
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString('base64url'),
  }
}
