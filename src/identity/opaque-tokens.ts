/** Tokens that mean nothing by themselves: 256 random bits, shown once and stored as a hash. Too many to be guessed, so it needs no salt. */
import { createHash, randomBytes } from 'node:crypto'

const BYTES = 32

/** `prefix` says what a leaked one is, to people and to scanners for secrets. */
export const newToken = (prefix: string): string => `${prefix}${randomBytes(BYTES).toString('base64url')}`

/** Whether it can be one of ours at all; what cannot is not looked for. */
export const isToken = (prefix: string, token: string): boolean =>
  token.startsWith(prefix) && /^[A-Za-z0-9_-]{43}$/.test(token.slice(prefix.length))

export const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest()
