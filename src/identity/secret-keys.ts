/** The keys that secrets are sealed with: AES-256-GCM, one current key, older ones that still open (B9). */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

/** What the seal binds the value to: moved to another row, it does not open. */
export interface SealedFor {
  /** UUID */
  readonly id: string
  /** UUID */
  readonly ownerId: string
  readonly name: string
  readonly version: number
}

export interface Sealed {
  /** 16 hex digits that say which key, and nothing about it */
  readonly keyId: string
  /** 12 bytes by chance */
  readonly nonce: Buffer
  /** ciphertext, then the tag of 16 bytes */
  readonly sealed: Buffer
}

/** Why a value does not open: nobody gave the key, or value, row and key do not belong together. */
export class UnsealError extends Error {
  override readonly name = 'UnsealError'
  readonly reason: 'UNKNOWN_KEY' | 'TAMPERED'

  constructor(reason: UnsealError['reason']) {
    super(reason === 'UNKNOWN_KEY' ? 'sealed with a key that is not configured' : 'does not open: changed, or of another row')
    this.reason = reason
  }
}

export interface SecretKeys {
  readonly currentId: string
  seal(value: string, row: SealedFor): Sealed
  /** Throws UnsealError. */
  unseal(sealed: Sealed, row: SealedFor): string
  /** 32 bytes of the current key, for a purpose besides sealing: every process of a fleet has the same. */
  derive(purpose: string): Buffer
}

const TAG_BYTES = 16
const NONCE_BYTES = 12

/** `current`, `previous`: the texts that were configured, of at least 32 bytes made by chance. */
export function createSecretKeys(current: string, previous: readonly string[] = []): SecretKeys {
  const keys = new Map([...previous, current].map((text) => [keyId(text), derive(text, 'key', 32)]))
  const currentId = keyId(current)

  return {
    currentId,
    derive: (purpose) => derive(current, purpose, 32),
    seal(value, row) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', keys.get(currentId)!, nonce).setAAD(boundTo(row, currentId))
      const sealed = Buffer.concat([cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return { keyId: currentId, nonce, sealed }
    },
    unseal({ keyId: id, nonce, sealed }, row) {
      const key = keys.get(id)
      if (!key) throw new UnsealError('UNKNOWN_KEY')
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
        decipher.setAAD(boundTo(row, id)).setAuthTag(sealed.subarray(-TAG_BYTES))
        return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]).toString('utf8')
      } catch {
        throw new UnsealError('TAMPERED')
      }
    },
  }
}

const derive = (text: string, purpose: string, bytes: number): Buffer =>
  Buffer.from(hkdfSync('sha256', text, 'sluice secrets 1', purpose, bytes))
const keyId = (text: string): string => derive(text, 'id', 8).toString('hex')

const boundTo = ({ id, ownerId, name, version }: SealedFor, key: string): Buffer =>
  Buffer.from(JSON.stringify(['sluice secret 1', id, ownerId, name, version, key]))
