/** Names that say of themselves that a secret follows (C6). */

const EXACTLY = new Set(['pwd', 'pass', 'token', 'jwt', 'cookie', 'setcookie', 'cookies', 'bearer'])
const AT_THE_END =
  /(password|passwd|passphrase|secret|secretkey|apikey|privatekey|accesskey|signingkey|encryptionkey|authtoken|accesstoken|refreshtoken|idtoken|sessiontoken|bearertoken|apitoken|credential|credentials|authorization)$/
const LONGEST_NAME = 100

/** False: no key in this JSON text can be the name of a secret. */
export const mayNameSecret = (json: string): boolean => MAY_NAME_SECRET.test(json)
const MAY_NAME_SECRET = /(?:pass|pwd|secret|token|key|jwt|cookie|credential|authorization|bearer)[^"]{0,60}"\s?:/i

/** `db_password`, `X-Api-Key`, `refreshToken`; not `page_token`, not `tokens_used`. */
export function isSecretName(name: string): boolean {
  if (name.length > LONGEST_NAME) return false
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, '')
  return EXACTLY.has(plain) || AT_THE_END.test(plain)
}
