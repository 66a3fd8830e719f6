/** Regular expressions that cannot backtrack: RE2, with what a match may cost. https://github.com/google/re2/wiki/Syntax */
import { RE2JS } from 're2js'

export interface Regex {
  test(text: string): boolean
  /** the first match, and the named groups that took part in it */
  find(text: string): RegexMatch | undefined
  /** RE2 instructions: a match takes at most about text length times this many steps */
  size: number
}

export interface RegexMatch {
  /** of the text that matched, in UTF-16 units */
  length: number
  groups: Record<string, string>
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
    return { ok: true, regex: { test: (text) => compiled.test(text), find: (text) => find(compiled, text), size } }
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : 'the pattern is malformed' }
  }
}

function find(compiled: RE2JS, text: string): RegexMatch | undefined {
  const matcher = compiled.matcher(text)
  if (!matcher.find()) return undefined
  const groups = Object.entries(matcher.getNamedGroups()).filter((group): group is [string, string] => group[1] !== null)
  return { length: matcher.end() - matcher.start(), groups: Object.fromEntries(groups) }
}
