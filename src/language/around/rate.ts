/** `rate` of a definition: how often it may be started, in all, for each key, or by each initiator (C2). */
import { z } from 'zod'
import { name, text } from '../any-step.ts'
import type { IssueList } from '../issue-list.ts'
import { readDuration } from '../read-duration.ts'
import { compileKey, type StartKey } from './key.ts'

const MAX_RULES = 4
const MAX_PER_MS = 31 * 86_400_000

/** At most `max` starts in a window of time that begins with the first of them. */
export interface RateRule {
  readonly max: number
  /** an ISO 8601 duration of whole seconds */
  readonly per: string
  /** a template over the input; absent: all starts of the flow share one limit */
  readonly key?: string
  /** `initiator`: each who starts it has a limit of their own */
  readonly each?: 'initiator'
}
export type Rate = RateRule | readonly RateRule[]

export interface StartRate {
  max: number
  windowSeconds: number
  key?: StartKey
  eachInitiator: boolean
}

const rule = z.strictObject({
  max: z.int().min(1).max(1_000_000).describe('How many starts there may be in one window.'),
  per: name.describe('How long a window is, which begins with the first start: an ISO 8601 duration such as PT1M.'),
  key: text
    .optional()
    .describe('What starts share: a text over the input such as ${{ input.customer }}; else all of the flow do.'),
  each: z.literal('initiator').optional().describe('"initiator": each who starts it has a limit of their own.'),
})
export const rate = z.union([rule, z.array(rule).min(1).max(MAX_RULES)], {
  error: `must be {"max": 10, "per": "PT1M"}, or a list of at most ${MAX_RULES} of these`,
})

export function compileRates(rates: z.infer<typeof rate>, context: { issues: IssueList }): StartRate[] {
  const [rules, paths] = Array.isArray(rates) ? [rates, rates.map((_, i) => ['rate', String(i)])] : [[rates], [['rate']]]
  return rules.map(({ max, per, key, each }, i) => ({
    ...{ max, windowSeconds: readSeconds(per, [...paths[i]!, 'per'], context), eachInitiator: each !== undefined },
    ...(key !== undefined && { key: compileKey(key, [...paths[i]!, 'key'], context) }),
  }))
}

function readSeconds(per: string, path: readonly string[], context: { issues: IssueList }): number {
  const ms = readDuration(per, path, context, 1_000)
  if (ms % 1_000 !== 0 || ms > MAX_PER_MS) context.issues.add('INVALID_VALUE', path, 'must be whole seconds, at most P31D')
  return ms / 1_000
}
