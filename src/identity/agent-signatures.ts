/**
 * What agents sign their messages with (A14): a key made of their API key, which the server keeps sealed, since it must sign to verify. From
 * it the API key cannot be had, and whoever reads the table without `SLUICE_SECRETS_KEY` has neither.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Database } from '../database/database.ts'
import { UnsealError } from './secret-keys.ts'
import type { SecretKeys, Sealed, SealedFor } from './secret-keys.ts'

/** Part of the protocol: docs/agents.md. */
const PURPOSE = 'sluice agent messages 1'

/** Hexadecimal: HMAC-SHA256 of a fixed text, under the API key as it was shown. */
export const signatureKeyOf = (apiKey: string): string => createHmac('sha256', apiKey).update(PURPOSE).digest('hex')

/** Hexadecimal: HMAC-SHA256 of the text, under the bytes of the key. */
export const signatureOf = (text: string, signatureKey: string): string =>
  createHmac('sha256', Buffer.from(signatureKey, 'hex')).update(text).digest('hex')

export function isSignedBy(text: string, signature: string, signatureKey: string): boolean {
  const given = Buffer.from(signature, 'hex')
  const right = Buffer.from(signatureOf(text, signatureKey), 'hex')
  return given.length === right.length && timingSafeEqual(given, right)
}

/** What the seal is bound to, beside the key's row. */
export const SIGNATURE = { name: 'agent signature', version: 1 } as const
export const sealedFor = ({ id, ownerId }: { id: string; ownerId: string }): SealedFor => ({ id, ownerId, ...SIGNATURE })

export interface Signer {
  /** UUID of the API key, which may have ended, and may be no agent's */
  readonly id: string
  /** undefined: it has none, or none that opens with the keys that are configured */
  readonly signatureKey: string | undefined
}

/** Keys of agents by their fingerprints (hexadecimal SHA-256 of the API key), those that have ended too. One query. */
export async function findSigners(
  database: Pick<Database, 'query'>,
  keys: SecretKeys,
  fingerprints: readonly string[],
): Promise<ReadonlyMap<string, Signer>> {
  const hashes = fingerprints.map((hex) => Buffer.from(hex, 'hex'))
  const rows = await database.query<SignerRow>(FIND, [hashes])
  return new Map(rows.map((row) => [row.hash.toString('hex'), { id: row.id, signatureKey: open(keys, row) }]))
}

type SignerRow = { id: string; ownerId: string; hash: Buffer } & (Sealed | Unsealed)
/** The key is no agent's, or was made before agents signed. */
type Unsealed = { [K in keyof Sealed]: null }

const FIND = `
select k.id, k.owner_id as "ownerId", k.hash, k.signature_key_id as "keyId", k.signature_nonce as nonce, k.signature_sealed as sealed
from sluice.api_keys k where k.hash = any($1)`

function open(keys: SecretKeys, row: SignerRow): string | undefined {
  if (row.sealed === null) return undefined
  try {
    return keys.unseal(row, sealedFor(row))
  } catch (error) {
    if (error instanceof UnsealError) return undefined
    throw error
  }
}
