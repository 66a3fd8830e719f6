/** When a signing secret is too weak to sign with: short, a placeholder, or made by a pattern instead of by chance (B1). */

const SECRET_BYTES = 32
/** The estimate below: 32 characters of hex, the shortest honest secret, come to about 115; a word repeated to 40 or more. */
const LEAST_ENTROPY_BITS = 90

const PLACEHOLDER =
  /change[-_ ]?(me|this|it)|replace[-_ ]?(me|this)|placeholder|example|your[-_ ]|insecure|default|secret|password|sluice/i

/** What is wrong with a signing secret, without quoting it; undefined when it will do. */
export function weaknessOfSecret(secret: string): string | undefined {
  if (Buffer.byteLength(secret) < SECRET_BYTES) return `must have at least ${SECRET_BYTES} bytes`
  if (PLACEHOLDER.test(secret)) return 'is a placeholder'
  if (isRegular(secret) || entropyBits(secret) < LEAST_ENTROPY_BITS) return 'is too regular to be a secret'
  return undefined
}

/** Made by a pattern: one piece over and over, or a walk along the alphabet. */
export const isRegular = (text: string): boolean => repeats(text) || runs(text)

/** Shannon's entropy of its characters times its length. It knows no order: `repeats` and `runs` do. */
function entropyBits(text: string): number {
  const counts = new Map<string, number>()
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1)
  return [...counts.values()].reduce((bits, count) => bits - count * Math.log2(count / text.length), 0)
}

/** One piece over and over, the last one perhaps cut. */
function repeats(text: string): boolean {
  for (let period = 1; period <= text.length / 2; period++) {
    if (text.startsWith(text.slice(period))) return true
  }
  return false
}

/** Mostly neighbours in the alphabet or on the row of digits: `abcdef...`, `987654...`. */
function runs(text: string): boolean {
  let neighbours = 0
  for (let i = 1; i < text.length; i++) {
    if (Math.abs(text.charCodeAt(i) - text.charCodeAt(i - 1)) === 1) neighbours++
  }
  return neighbours > text.length / 2
}
