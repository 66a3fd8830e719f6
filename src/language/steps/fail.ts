/** `fail` in a definition: ends the execution on purpose. */
import { z } from 'zod'
import { commonFields, text, type AnyStep } from '../any-step.ts'
import type { Template } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

export interface FailStep extends AnyStep {
  readonly type: 'fail'
  readonly message: string
  readonly code?: string
}
export interface FailSpec {
  type: 'fail'
  code: string
  message: Template
}

export const fail: StepLanguage<FailStep, FailSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('fail').describe('Ends the execution as FAILED.'),
    message: text.describe('Why, for people; may hold ${{ }}.'),
    code: z
      .string()
      .regex(/^[A-Z][A-Z0-9_]{0,63}$/, 'must be capital letters, digits and _, at most 64')
      .optional()
      .describe('Why, for programs; FLOW_FAILED unless given.'),
  }),
  instant: true,
  compile: (step, compiler) => ({
    type: 'fail',
    code: step.code ?? 'FLOW_FAILED',
    message: compiler.text(step.message, 'message'),
  }),
}
