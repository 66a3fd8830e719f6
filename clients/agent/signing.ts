/** How messages are signed: those of agents with what is made of the API key, those of servers with Ed25519. See docs/agents.md. */
import { createHash, createHmac, createPublicKey, verify } from 'node:crypto'

export interface Signer {
  /** says whose key it is, and nothing about it: hexadecimal SHA-256 */
  readonly fingerprint: string
  /** hexadecimal */
  sign(text: string): string
}

export function createSigner(apiKey: string): Signer {
  const key = createHmac('sha256', apiKey).update('sluice agent messages 1').digest()
  return {
    fingerprint: createHash('sha256').update(apiKey).digest('hex'),
    sign: (text) => createHmac('sha256', key).update(text).digest('hex'),
  }
}

/** Whether the server signed it. `publicKey`, `signature`: base64url. */
export function isSignedByServer(text: string, signature: string, publicKey: string): boolean {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' })
  return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'))
}
