/** The keys that sign the audit log. They live outside the database: who can write every table still cannot make a row that fits. */
import { createHash, createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

const KEY_ID_BYTES = 4
/** Of a signature: which key made it, then HMAC-SHA256. */
export const SIGNATURE_BYTES = KEY_ID_BYTES + 32

/** TAMPERED: not what was signed; UNKNOWN_KEY: signed by a key that is not among ours. */
export type SignatureVerdict = 'GOOD' | 'TAMPERED' | 'UNKNOWN_KEY'

export interface AuditKeys {
  /** by the current key */
  sign(text: string): Buffer
  /** Whether the current key made it. */
  isCurrent(signature: Uint8Array): boolean
  /** by whichever of our keys made it */
  check(text: string, signature: Uint8Array | null): SignatureVerdict
}

/** `current` signs, `older` ones still verify; secrets of any length, each used for nothing but this. */
export function createAuditKeys(current: string, older: readonly string[] = []): AuditKeys {
  const keys = [current, ...older].map(deriveKey)
  const byId = new Map(keys.map((key) => [key.id.toString('hex'), key]))
  const [signing] = keys
  return {
    sign: (text) => signWith(signing!, text),
    isCurrent: (signature) => signing!.id.equals(signature.subarray(0, KEY_ID_BYTES)),
    check(text, signature) {
      if (signature?.length !== SIGNATURE_BYTES) return 'TAMPERED'
      const key = byId.get(Buffer.from(signature.subarray(0, KEY_ID_BYTES)).toString('hex'))
      if (!key) return 'UNKNOWN_KEY'
      return timingSafeEqual(signWith(key, text), signature) ? 'GOOD' : 'TAMPERED'
    },
  }
}

interface AuditKey {
  id: Buffer
  key: KeyObject
}

/** Apart from whatever else the secret protects; its id tells nothing of it. */
function deriveKey(secret: string): AuditKey {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'sluice audit log', 32))
  return { id: createHash('sha256').update('id').update(key).digest().subarray(0, KEY_ID_BYTES), key: createSecretKey(key) }
}

function signWith({ id, key }: AuditKey, text: string): Buffer {
  return Buffer.concat([id, createHmac('sha256', key).update(text).digest()])
}
