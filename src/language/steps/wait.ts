/** `wait` in a definition: for a duration, or until a date. */
import { z } from 'zod'
import { commonFields, name, text, type AnyStep } from '../any-step.ts'
import type { Template } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

export interface WaitStep extends AnyStep {
  readonly type: 'wait'
  readonly duration?: string
  readonly until?: string
}
export interface WaitSpec {
  type: 'wait'
  durationMs?: number
  until?: Template
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/

export const wait: StepLanguage<WaitStep, WaitSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('wait').describe('Waits for a duration or until a date.'),
    duration: name.optional().describe('An ISO 8601 duration such as PT0.5S.'),
    until: text.optional().describe('A date such as 2030-01-31T09:00:00Z, or ${{ }}.'),
  }),
  compile({ duration, until }, compiler) {
    const { issues, path } = compiler
    if ((duration === undefined) === (until === undefined)) {
      issues.add('INVALID_VALUE', path, 'a wait has either duration or until')
    }
    if (until === undefined) return { type: 'wait', durationMs: compiler.durationMs(duration ?? 'PT0S', 'duration') }
    if (!until.includes('${{') && !(RFC_3339.test(until) && Date.parse(until))) {
      issues.add('INVALID_VALUE', [...path, 'until'], 'must be a date like 2030-01-31T09:00:00Z, or an expression')
    }
    return { type: 'wait', until: compiler.template(until, 'until') }
  },
}
