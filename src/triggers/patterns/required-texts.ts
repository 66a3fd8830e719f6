/**
 * What a text must hold for a regular expression to match: so that of a thousand patterns only those are run that may match. Texts and
 * what they must hold are compared without regard to ASCII case. https://swtch.com/~rsc/regexp/regexp4.html
 */

/** More than this of one pattern would only fill the automaton. */
const MOST_TEXTS = 16
const LONGEST = 32

/** ASCII letters in one case, with the two other characters that fold to them. Each character by itself: what is part of a text stays so. */
export const fold = (text: string): string => text.replace(/[A-Z\u017f\u212a]/g, (char) => FOLDED.get(char) ?? char.toLowerCase())

const FOLDED = new Map([
  ['\u017f', 's'],
  ['\u212a', 'k'],
])

/** Any one of these, folded, is in each text that matches; undefined: nothing is known. */
export function requiredTexts(pattern: string): readonly string[] | undefined {
  try {
    const reader = new Reader(pattern)
    const { need } = reader.alternation(false)
    if (!reader.atEnd) return undefined
    return need?.map((text) => text.slice(0, LONGEST))
  } catch (error) {
    if (error instanceof Unread) return undefined
    throw error
  }
}

/** Something that this reader does not know: nothing is said of the pattern. */
class Unread extends Error {}

interface Part {
  /** it matches this text and no other; '' matches between characters */
  exact?: string
  /** each match holds one of these */
  need?: readonly string[]
}
const ANYTHING: Part = {}
const BETWEEN: Part = { exact: '' }

class Reader {
  readonly #chars: readonly string[]
  #at = 0

  constructor(pattern: string) {
    this.#chars = [...pattern]
  }

  get atEnd(): boolean {
    return this.#at >= this.#chars.length
  }

  /** Up to its `)` or the end. `folds`: the case of letters does not matter. */
  alternation(folds: boolean): Part {
    const branches: Part[] = []
    const flags = { folds }
    do branches.push(this.#concatenation(flags))
    while (this.#take('|'))
    if (branches.length === 1) return branches[0]!
    const needs = branches.map(({ need }) => need)
    if (needs.some((need) => need === undefined)) return ANYTHING
    const all = [...new Set(needs.flatMap((need) => need!))]
    return all.length <= MOST_TEXTS ? { need: all } : ANYTHING
  }

  #concatenation(flags: { folds: boolean }): Part {
    const found: (readonly string[])[] = []
    let run = ''
    let isExact = true
    while (!this.atEnd && this.#chars[this.#at] !== '|' && this.#chars[this.#at] !== ')') {
      const part = this.#repeated(this.#atom(flags))
      if (part.exact !== undefined) run += part.exact
      else {
        if (run !== '') found.push([run])
        if (part.need) found.push(part.need)
        run = ''
        isExact = false
      }
    }
    if (run !== '') found.push([run])
    const need = best(found)
    return { ...(isExact && { exact: run }), ...(need && { need }) }
  }

  #atom(flags: { folds: boolean }): Part {
    const char = this.#next()
    switch (char) {
      case '(':
        return this.#group(flags)
      case '[':
        this.#skipClass()
        return ANYTHING
      case '.':
        return ANYTHING
      case '^':
      case '$':
        return BETWEEN
      case '\\':
        return this.#escape(flags.folds)
      default:
        return literal(char, flags.folds)
    }
  }

  #group(flags: { folds: boolean }): Part {
    let folds = flags.folds
    if (this.#take('?')) {
      if (this.#take('P')) this.#expect('<')
      else if (!this.#take('<')) {
        const set = this.#flags()
        if (set.folds !== undefined) folds = set.folds
        if (!set.opens) {
          flags.folds = folds
          // RE2 repeats what stands before the flags then
          if (this.#least() !== undefined) throw new Unread()
          return BETWEEN
        }
        return this.#inside(folds)
      }
      while (this.#next() !== '>');
    }
    return this.#inside(folds)
  }

  #inside(folds: boolean): Part {
    const part = this.alternation(folds)
    this.#expect(')')
    return part
  }

  /** `i-s:` or `i-s)` */
  #flags(): { folds?: boolean; opens: boolean } {
    let folds: boolean | undefined
    let on = true
    for (;;) {
      const char = this.#next()
      if (char === ':' || char === ')') return { ...(folds !== undefined && { folds }), opens: char === ':' }
      if (char === '-') on = false
      else if (char === 'i') folds = on
      else if (!'smU'.includes(char)) throw new Unread()
    }
  }

  #escape(folds: boolean): Part {
    const char = this.#next()
    if ('bBAz'.includes(char)) return BETWEEN
    if (/[dDsSwW]/.test(char)) return ANYTHING
    if (char === 'p' || char === 'P') {
      if (this.#next() === '{') while (this.#next() !== '}');
      return ANYTHING
    }
    if (/[A-Za-z0-9]/.test(char)) throw new Unread()
    return literal(char, folds)
  }

  #skipClass(): void {
    this.#take('^')
    // a bracket that comes first is one of its characters
    this.#take(']')
    for (;;) {
      const char = this.#next()
      if (char === ']') return
      if (char === '\\') this.#next()
      if (char === '[' && this.#take(':')) while (this.#next() !== ']');
    }
  }

  /** The part with what says how often it comes. */
  #repeated(part: Part): Part {
    let result = part
    for (;;) {
      const least = this.#least()
      if (least === undefined) return result
      this.#take('?')
      result = least === 0 || !result.need ? ANYTHING : { need: result.need }
    }
  }

  /** How often at least; undefined: once, nothing is said. */
  #least(): number | undefined {
    if (this.#take('*') || this.#take('?')) return 0
    if (this.#take('+')) return 1
    if (this.#chars[this.#at] !== '{') return undefined
    const counted = /^\{(\d+)(?:,\d*)?\}/.exec(this.#chars.slice(this.#at, this.#at + 12).join(''))
    if (!counted) return undefined
    this.#at += counted[0].length
    return Number(counted[1])
  }

  #next(): string {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw new Unread()
    return char
  }

  #take(char: string): boolean {
    if (this.#chars[this.#at] !== char) return false
    this.#at++
    return true
  }

  #expect(char: string): void {
    if (!this.#take(char)) throw new Unread()
  }
}

/** Beyond ASCII more than two letters may be one without regard to case. */
function literal(char: string, folds: boolean): Part {
  if (folds && char > '\u007f') return ANYTHING
  const exact = fold(char)
  return { exact, need: [exact] }
}

/** The one that the fewest texts will hold: whose shortest is longest. */
function best(needs: readonly (readonly string[])[]): readonly string[] | undefined {
  const shortest = (need: readonly string[]): number => Math.min(...need.map(({ length }) => length))
  return needs.toSorted((a, b) => shortest(b) - shortest(a) || a.length - b.length)[0]
}
