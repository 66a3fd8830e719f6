/** Regular expressions that cannot backtrack: RE2, with what a match may cost. https://github.com/google/re2/wiki/Syntax */
import { RE2JS } from 're2js'

export interface Regex {
  test(text: string): boolean
  /** RE2 instructions: a match takes at most about text length times this many steps */
  size: number
}

const MAX_PATTERN_LENGTH = 1_000
/** Compiling more takes tens of milliseconds, and matching is slow in proportion. */
const MAX_SIZE = 1_500

/** The pattern compiled (unanchored, as in CEL and JSON Schema), or what is wrong with it. */
export function compileRegex(pattern: string): { ok: true; regex: Regex } | { ok: false; message: string } {
  if (pattern.length > MAX_PATTERN_LENGTH) {
    return { ok: false, message: `the pattern is longer than ${MAX_PATTERN_LENGTH} characters` }
  }
  try {
    const compiled = RE2JS.compile(pattern)
    const size = compiled.programSize()
    if (size > MAX_SIZE) return { ok: false, message: 'the pattern is too large (repeats count as often as they repeat)' }
    return { ok: true, regex: { test: (text) => compiled.test(text), size } }
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : 'the pattern is malformed' }
  }
}
