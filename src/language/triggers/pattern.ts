/** `pattern` in a definition: `dispatch` starts the flow with the texts that its regular expression matches (C11). */
import { z } from 'zod'
import { json, MAX_COST, name } from '../any-step.ts'
import { compileRegex } from '../regex.ts'
import type { JsonObject } from '../values.ts'
import { commonTriggerFields, type AnyTrigger, type TriggerLanguage } from './trigger-language.ts'

/** What answers: something that is there already, agents that are asked, or both. */
export const PATTERN_KINDS = ['infrastructure', 'agent', 'hybrid'] as const
export type PatternKind = (typeof PATTERN_KINDS)[number]

export interface PatternTrigger extends AnyTrigger {
  readonly type: 'pattern'
  /** RE2, unanchored; its named groups become fields of the input */
  readonly pattern: string
  /** higher goes first; 0 unless given */
  readonly priority?: number
  readonly kind: PatternKind
  /** tokens that a run takes; 0 unless given */
  readonly cost?: number
  /** how long an answer may be given again: an ISO 8601 duration */
  readonly cacheTtl?: string
  /** template of the input; sees `text`, `match` (the named groups) */
  readonly input?: JsonObject
}

export const PATTERN_SEES = ['text', 'match'] as const

export const pattern: TriggerLanguage<PatternTrigger> = {
  schema: z.strictObject({
    type: z.literal('pattern').describe('Starts the flow when a text matches, through `dispatch`.'),
    ...commonTriggerFields,
    pattern: z
      .string()
      .min(1)
      .max(1_000)
      .describe('A regular expression (RE2, unanchored); named groups (?P<name>...) become fields of the input.'),
    priority: z.int().min(-100).max(100).optional().describe('Of the patterns that match, the highest is taken; 0 unless given.'),
    kind: z
      .enum(PATTERN_KINDS)
      .describe('What answers: infrastructure (what is there already), agent (agents are asked), or hybrid.'),
    cost: z.int().min(0).max(MAX_COST).optional().describe('Tokens that a run takes; 0 unless given.'),
    cacheTtl: name.optional().describe('How long an answer is given again to the same person: an ISO 8601 duration.'),
    input: z.record(z.string(), json).optional().describe('Template of the input: sees text, and match with the named groups.'),
  }),
  check(trigger, { issues, path, durationMs, template }) {
    const compiled = compileRegex(trigger.pattern)
    if (!compiled.ok) issues.add('INVALID_VALUE', [...path, 'pattern'], compiled.message, 'patterns are RE2: no look-around')
    else if (compiled.regex.test('')) issues.add('INVALID_VALUE', [...path, 'pattern'], 'it matches every text, even none')
    if (trigger.cacheTtl !== undefined) durationMs(trigger.cacheTtl, 'cacheTtl', 1_000)
    if (trigger.input) template(trigger.input, PATTERN_SEES, 'input')
  },
}
