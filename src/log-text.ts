/** Text that can stand in a log: short, one line in every terminal, without what looks like a secret or a person (C6). */

const MAX_TEXT = 2_000
const REDACTED = '[redacted]'

/** Secrets by their shape: the last guard, for text that comes from outside of us. Each is linear in the text, which is short. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]{1,40}-----[^]*?(?:-----END [A-Z ]{1,40}-----|$)/g, REDACTED],
  // tokens of ours: JWT, keys and links
  [/\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, REDACTED],
  [/\bsl[a-z]_[\w-]{16,}/g, REDACTED],
  // those of providers
  [
    /\b(?:sk|pk|rk)[-_][\w-]{16,}|\bgh[a-z]_\w{20,}|\bgithub_pat_\w{20,}|\bxox[a-z]-[\w-]{10,}|\bA(?:KIA|SIA)[A-Z0-9]{16}\b/g,
    REDACTED,
  ],
  [/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, `$1 ${REDACTED}`],
  // https://user:password@host
  [/(?<=:\/\/)[^\s/@]{1,300}@/g, `${REDACTED}@`],
  [
    /((?:passw(?:or)?d|secret|token|api[_-]?key|authorization|cookie)["']?\s{0,3}[:=]\s{0,3}["']?)[^\s"',;&)}\]]{1,500}/gi,
    `$1${REDACTED}`,
  ],
]
const E_MAIL = /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}/g

/** `text`, which is short, without what looks like a secret. */
export const withoutSecrets = (text: string): string =>
  SECRETS.reduce((rest, [shape, instead]) => rest.replace(shape, instead), text)

/** `text` without what looks like a secret or an e-mail address, and cut when it is long. */
export function redact(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)} ... (${text.length - MAX_TEXT} more)` : text
  return withoutSecrets(short).replace(E_MAIL, '[e-mail]')
}

/**
 * What JSON leaves as it is and a terminal or an editor obeys: DEL, the C1 control characters (CSI begins an escape sequence as
 * well as ESC does), line separators, and what hides or turns round other text.
 */
const OBEYED = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g

/** A line of JSON with these as `\uXXXX`: they can stand in its strings only, where that means the same. */
export const escapeObeyed = (line: string): string =>
  line.replaceAll(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
