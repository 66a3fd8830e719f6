/** Which values are no secrets: placeholders that somebody forgot to replace, and texts too short to be masked (B9). */
import { MASK } from '../masking/mark.ts'
import { isRegular } from './secret-rule.ts'

/** Shorter ones would be masked wherever the same few characters stand. */
const LEAST_CHARACTERS = 8
/** Holds a private key of 4,096 bits as PEM. */
const MOST_BYTES = 4_096

/** Anywhere in it. */
const MARKS =
  /change[-_ ]?(?:me|this|it)|replace[-_ ]?(?:me|this)|place[-_ ]?holder|your[-_ ]?(?:own[-_ ]?)?(?:key|token|secret|password|api)|(?:key|token|secret|password)[-_ ]?(?:goes[-_ ]?)?here|\$\{|\{\{|^<.*>$|^\[.*\]$|x{6}|\*{4}|•{3}|\.{4}|_{6}|redacted|EXAMPLEKEY|EXAMPLE$/i
/** As the whole of it, whatever stands between the words. */
const WORDS =
  /^(?:(?:my|the|a|some|test|dummy|sample|fake|default|example|insert|enter|add|set|put|secret|password|passw0rd|token|api|key|value|here|todo|tbd|fixme|none|null|nil|undefined|empty|unset|foo|bar|baz|qwerty|letmein|admin|welcome|sluice|not|real|it)[-_ .:!?\d]*)+$/i

/** What is wrong with the value, without quoting it; undefined when it will do. */
export function mistakeOfSecretValue(value: string): string | undefined {
  const bare = value.trim()
  if (bare === '') return 'It must not be empty.'
  if (Buffer.byteLength(value) > MOST_BYTES) return `It must have at most ${MOST_BYTES} bytes.`
  if (!value.isWellFormed() || value.includes('\0')) return 'It must not hold NUL or half characters.'
  if (MARKS.test(bare) || WORDS.test(bare) || bare.includes(MASK)) return 'It is a placeholder: send the secret itself.'
  if ([...bare].length < LEAST_CHARACTERS)
    return `It must have at least ${LEAST_CHARACTERS} characters: shorter ones cannot be masked.`
  if (isRegular(bare)) return 'It is too regular to be a secret.'
  return undefined
}
