/** `concurrency` of a definition: how many of its executions may run at once, in all or for each key, and what becomes of one more. */
import { z } from 'zod'
import { text } from '../any-step.ts'
import type { IssueList } from '../issue-list.ts'
import { compileKey, type StartKey } from './key.ts'

/** One more than may run waits for its turn; is refused; makes the oldest end and takes its place. */
const ON_LIMIT = ['queue', 'refuse', 'cancelOlder'] as const
export type OnLimit = (typeof ON_LIMIT)[number]

/** So many executions of one key may hold a slot, or wait for one. */
const MOST_SLOTS = 10_000
const MAX_QUEUED = 1_000

export interface Concurrency {
  readonly max: number
  /** a template over the input; absent: all executions of the flow share one limit */
  readonly key?: string
  /** `queue` unless said otherwise */
  readonly onLimit?: OnLimit
  /** how many may wait for their turn with the same key; 1,000 unless said otherwise */
  readonly maxQueued?: number
}

export interface ConcurrencyRule {
  max: number
  key?: StartKey
  onLimit: OnLimit
  /** 0 when one more is refused */
  maxQueued: number
}

export const concurrency = z.strictObject({
  max: z.int().min(1).max(MOST_SLOTS).describe('How many may run at once, with the same key.'),
  key: text.optional().describe('What they share: a text over the input such as ${{ input.customer }}; else all of the flow do.'),
  onLimit: z
    .enum(ON_LIMIT)
    .optional()
    .describe(
      'What becomes of one more: it waits (queue), is refused, or the oldest is canceled (cancelOlder); queue unless given.',
    ),
  maxQueued: z.int().min(1).max(MOST_SLOTS).optional().describe('How many may wait with the same key; 1000 unless given.'),
})

export function compileConcurrency(
  { max, key, onLimit = 'queue', maxQueued = MAX_QUEUED }: z.infer<typeof concurrency>,
  context: { issues: IssueList },
): ConcurrencyRule {
  return {
    ...{ max, onLimit, maxQueued: onLimit === 'refuse' ? 0 : maxQueued },
    ...(key !== undefined && { key: compileKey(key, ['concurrency', 'key'], context) }),
  }
}

/** Fields that do nothing, for the linter. */
export function idleFields({ onLimit, maxQueued }: Concurrency): string[][] {
  return onLimit === 'refuse' && maxQueued !== undefined ? [['concurrency', 'maxQueued']] : []
}
