/** `loop` in a definition: a step again and again, until a condition holds, so many times at most. */
import { z } from 'zod'
import { commonFields, innerStep, name, text, type AnyStep } from '../any-step.ts'
import type { Condition, JsonObject } from '../values.ts'
import { NOTHING, refuseRetry } from './map.ts'
import type { StepBody, StepLanguage } from './step-language.ts'

const MAX_TIMES = 1_000

export interface LoopStep extends AnyStep {
  readonly type: 'loop'
  readonly step: JsonObject
  readonly times: number
  /** conditions, asked after each iteration */
  readonly until?: string
  readonly while?: string
  /** between iterations */
  readonly delay?: string
}
export interface LoopSpec {
  type: 'loop'
  step: StepBody
  times: number
  /** `while` is told as its opposite */
  until?: Condition
  delayMs: number
}

export const loop: StepLanguage<LoopStep, LoopSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('loop').describe('Runs a step again and again.'),
    step: innerStep.describe('What runs each time; its templates see iteration and last.'),
    times: z.int().min(1).max(MAX_TIMES).describe('How often at most.'),
    until: text.optional().describe('A CEL condition, asked after each time: done when it is true.'),
    while: text.optional().describe('A CEL condition, asked after each time: done when it is false.'),
    delay: name.optional().describe('The time between: an ISO 8601 duration.'),
  }),
  returns: (step, inner) => inner(step.step),
  compile(step, compiler) {
    refuseRetry(step, compiler)
    const inner = compiler.seeing(['iteration', 'last'])
    if (step.until !== undefined && step.while !== undefined) {
      compiler.issues.add('INVALID_VALUE', [...compiler.path, 'while'], 'a loop has either until or while')
    }
    const until = step.until === undefined ? undefined : inner.condition(step.until, 'until')
    const whilst = step.while === undefined ? undefined : inner.condition(step.while, 'while')
    return {
      type: 'loop',
      step: inner.step(step.step, 'step') ?? NOTHING,
      times: step.times,
      ...(until && { until }),
      ...(whilst && { until: opposite(whilst) }),
      delayMs: step.delay === undefined ? 0 : compiler.durationMs(step.delay, 'delay'),
    }
  },
}

function opposite(condition: Condition): Condition {
  return {
    evaluate(scope) {
      const result = condition.evaluate(scope)
      return result.ok ? { ok: true, value: !result.value } : result
    },
  }
}
