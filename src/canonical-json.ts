/** One text for all JSON values that mean the same (keys sorted, as RFC 8785 does), and the hash that tells whether two calls are one. */
import { createHash } from 'node:crypto'

export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (isPlainObject(inner) ? sorted(inner) : inner))
}

/** SHA-256 of the canonical text. */
export const hashOf = (value: unknown): Buffer => createHash('sha256').update(canonicalJson(value)).digest()

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

// fromEntries defines own properties, so that a key named __proto__ stays a key
const sorted = (value: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
