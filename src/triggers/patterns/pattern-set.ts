/** All patterns of the installation, ready to be asked which of them may match a text. */
import { LRUCache } from 'lru-cache'
import { parseDuration } from '../../language/duration.ts'
import { IssueList } from '../../language/issue-list.ts'
import { compileRegex } from '../../language/regex.ts'
import type { Regex, RegexMatch } from '../../language/regex.ts'
import { PATTERN_SEES } from '../../language/triggers/pattern.ts'
import type { PatternTrigger } from '../../language/triggers/pattern.ts'
import { compileTriggerTemplate, NO_EXECUTION } from '../../language/triggers/trigger-language.ts'
import type { Evaluated, Json, Template } from '../../language/values.ts'
import { fold, requiredTexts } from './required-texts.ts'
import { createTextAutomaton } from './text-automaton.ts'

export interface PatternRow {
  id: string
  flowId: string
  definition: PatternTrigger
}

export interface Pattern extends PatternRow {
  readonly priority: number
  /** tokens */
  readonly cost: number
  readonly cacheTtlMs?: number
  find(text: string): RegexMatch | undefined
  /** the steps that a match takes at most for each character of the text */
  readonly size: number
  /** what the flow is started with */
  inputOf(text: string, match: RegexMatch): Evaluated<Json>
}

export interface PatternSet {
  /** those that may match; the others do not. Microseconds, however many there are. */
  candidates(text: string): Pattern[]
}

/** A compiled pattern takes some 25 kB: those that texts come near to are kept. */
const COMPILED = new LRUCache<string, Regex>({ max: 2_000 })

export function createPattern(row: PatternRow): Pattern {
  const { definition } = row
  const { pattern, priority = 0, cost = 0, cacheTtl, input } = definition
  let template: Template | undefined
  return {
    ...row,
    priority,
    cost,
    ...(cacheTtl !== undefined && { cacheTtlMs: parseDuration(cacheTtl)! }),
    find: (text) => compiled(pattern).find(text),
    get size() {
      return compiled(pattern).size
    },
    inputOf(text, { groups }) {
      if (!input) return { ok: true, value: groups }
      template ??= compileTriggerTemplate(input, PATTERN_SEES, ['input'], new IssueList())
      return template.evaluate({ ...NO_EXECUTION, text, match: groups })
    },
  }
}

function compiled(pattern: string): Regex {
  let regex = COMPILED.get(pattern)
  if (!regex) {
    const made = compileRegex(pattern)
    // a pattern that is not allowed any more matches nothing
    regex = made.ok ? made.regex : { test: () => false, find: () => undefined, size: 0 }
    COMPILED.set(pattern, regex)
  }
  return regex
}

export function createPatternSet(patterns: readonly Pattern[]): PatternSet {
  const words: string[] = []
  const ofWord: Pattern[] = []
  const always: Pattern[] = []
  for (const pattern of patterns) {
    const required = requiredTexts(pattern.definition.pattern)
    if (!required) always.push(pattern)
    for (const word of required ?? []) {
      words.push(word)
      ofWord.push(pattern)
    }
  }
  const automaton = createTextAutomaton(words)
  return {
    candidates(text) {
      const found = new Set(always)
      automaton.search(fold(text), (word) => found.add(ofWord[word]!))
      return [...found]
    },
  }
}
