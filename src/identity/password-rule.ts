/** Which passwords are good enough to be set (B2). Signing in asks nothing of this: old passwords keep working. */

export const PASSWORD_MIN_LENGTH = 8
/** bcrypt reads 72 bytes; what follows would not protect anything. */
export const PASSWORD_MAX_BYTES = 72
/** From this length on, length alone is enough. */
const PASSPHRASE_LENGTH = 16

const KINDS = [/\p{Ll}/u, /\p{Lu}/u, /\p{Nd}/u, /[^\p{Ll}\p{Lu}\p{Nd}]/u]

/** Longer than any password that fits can be before it is normalised: not worth the time. */
const MAX_TYPED_LENGTH = 1_024

/** The same password typed on two keyboards can be two sequences of code points: both become this one. */
export const normalPassword = (password: string): string =>
  password.length > MAX_TYPED_LENGTH ? password : password.normalize('NFKC')

/** Everything that is wrong with a new password, as sentences without a subject; [] when it will do. */
export function passwordMistakes(password: string): string[] {
  const normal = normalPassword(password)
  const length = [...normal].length
  const mistakes: string[] = []
  if (length < PASSWORD_MIN_LENGTH) mistakes.push(`must have at least ${PASSWORD_MIN_LENGTH} characters`)
  if (Buffer.byteLength(normal) > PASSWORD_MAX_BYTES) mistakes.push(`must have at most ${PASSWORD_MAX_BYTES} bytes`)
  if (/\p{Cc}/u.test(normal)) mistakes.push('must have no control characters')
  if (length < PASSPHRASE_LENGTH && KINDS.filter((kind) => kind.test(normal)).length < 3) {
    mistakes.push(
      `must have at least three of lower case, upper case, digits and other characters, or at least ${PASSPHRASE_LENGTH} characters`,
    )
  }
  if (length >= PASSPHRASE_LENGTH && new Set(normal).size < 5) mistakes.push('must have at least 5 different characters')
  return mistakes
}
