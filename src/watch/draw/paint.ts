/** Colours, symbols and widths of what is drawn in a terminal. */

export interface Paint {
  readonly columns: number
  readonly rows: number
  /** false: no escape sequence at all (NO_COLOR, https://no-color.org) */
  readonly colour: boolean
  /** ms since 1970 */
  readonly now: number
}

export type Tone = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'cyan'
const SGR: Readonly<Record<Tone, string>> = {
  ...{ bold: '1;22', dim: '2;22', red: '31;39', green: '32;39', yellow: '33;39', blue: '34;39', cyan: '36;39' },
}

/** A piece of a line. What is drawn is made of these, so that widths are counted without escape sequences. */
export type Piece = string | { readonly text: string; readonly tone: Tone }

export const toned = (tone: Tone, text: string): Piece => ({ text, tone })

/** One line for the terminal, cut at its width. Control characters of what others wrote do nothing there. */
export function line(pieces: readonly Piece[], { columns, colour }: Pick<Paint, 'columns' | 'colour'>): string {
  let left = columns
  let out = ''
  for (const piece of pieces) {
    if (left <= 0) break
    const { text, tone } = typeof piece === 'string' ? { text: piece, tone: undefined } : piece
    const shown = cut(harmless(text), left)
    left -= widthOf(shown)
    const [on, off] = tone && colour ? SGR[tone].split(';') : []
    out += on === undefined ? shown : `\u001B[${on}m${shown}\u001B[${off}m`
  }
  return out.trimEnd()
}

/** C0, C1, and what turns the direction of writing: none of it belongs into a line. */
export const harmless = (text: string): string =>
  text.replaceAll(/[\u0000-\u001F\u007F-\u009F\u200E\u200F\u202A-\u202E\u2066-\u2069]+/g, ' ')

/** East Asian characters and pictures take two columns, marks none. Near enough for cutting lines. */
export function widthOf(text: string): number {
  if (ASCII.test(text)) return text.length
  let width = 0
  for (const char of text) width += /\p{Mark}/u.test(char) ? 0 : WIDE.test(char) ? 2 : 1
  return width
}
const ASCII = /^[ -~]*$/
const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uFF01-\uFF60]/u

/** The longest beginning that fits; the last column says that there was more. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let out = ''
  let width = 0
  for (const char of text) {
    width += widthOf(char)
    if (width > columns - 1) break
    out += char
  }
  return `${out}…`
}

export const padded = (text: string, columns: number): string => {
  const shown = cut(harmless(text), columns)
  return shown + ' '.repeat(Math.max(0, columns - widthOf(shown)))
}

/** `███████░░░░░` with this share of it filled. */
export function bar(share: number, width: number): readonly Piece[] {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width)
  return [toned('green', '█'.repeat(filled)), toned('dim', '░'.repeat(width - filled))]
}

/** `12 ms`, `3.4 s`, `2 m 05 s`, `3 h 12 m`, `4 d 06 h` */
export function lasting(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 60_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0')
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} m ${two((ms % 60_000) / 1_000)} s`
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ${two((ms % 3_600_000) / 60_000)} m`
  return `${Math.floor(ms / 86_400_000)} d ${two((ms % 86_400_000) / 3_600_000)} h`
}

interface Look {
  readonly symbol: string
  readonly tone: Tone
}
const LOOKS: Readonly<Record<string, Look>> = {
  PENDING: { symbol: '·', tone: 'dim' },
  RUNNING: { symbol: '●', tone: 'cyan' },
  WAITING: { symbol: '◐', tone: 'yellow' },
  PAUSED: { symbol: '‖', tone: 'yellow' },
  SUCCEEDED: { symbol: '✔', tone: 'green' },
  FAILED: { symbol: '✘', tone: 'red' },
  TIMED_OUT: { symbol: '✘', tone: 'red' },
  CANCELED: { symbol: '⊘', tone: 'red' },
  SKIPPED: { symbol: '∅', tone: 'dim' },
}
/** How a status looks; one that is newer than this program looks plain. */
export const lookOf = (status: string): Look => LOOKS[status] ?? { symbol: '?', tone: 'bold' }
