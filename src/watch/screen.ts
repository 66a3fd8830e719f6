/** Lines that stand still in a terminal: each drawing takes the place of the one before. */

export interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
}

export interface Screen {
  readonly columns: number
  readonly rows: number
  draw(lines: readonly string[]): void
  /** Leaves the last drawing where it is, and the cursor below it. */
  end(): void
}

const HIDE_CURSOR = '\u001B[?25l'
const SHOW_CURSOR = '\u001B[?25h'
/** what stands to the right; what stands below */
const ERASE_LINE = '\u001B[K'
const ERASE_BELOW = '\u001B[J'

export function openScreen(terminal: Terminal): Screen {
  let drawn = 0
  let last = ''
  terminal.write(HIDE_CURSOR)
  return {
    get columns() {
      return terminal.columns || 80
    },
    get rows() {
      // the cursor needs a line too
      return Math.max(4, (terminal.rows || 24) - 1)
    },
    draw(lines) {
      const text = lines.map((line) => `${line}${ERASE_LINE}\n`).join('')
      if (text === last) return
      terminal.write(`${drawn > 0 ? `\u001B[${drawn}A\r` : ''}${text}${ERASE_BELOW}`)
      drawn = lines.length
      last = text
    },
    end: () => void terminal.write(SHOW_CURSOR),
  }
}
