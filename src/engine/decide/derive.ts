/** Ids and chances that are functions of their place in an execution, so that deciding again gives the same. */
import { createHash } from 'node:crypto'

/** 0 <= x < 1, uniform over texts. */
export function derivedFraction(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32
}

/** A UUIDv7 of the time `ms` whose random part is a hash of `text`. https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7 */
export function derivedUuid(ms: number, text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16)
  bytes.writeUIntBE(Math.floor(ms), 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
