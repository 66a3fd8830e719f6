/** `notify` in a definition: sends a notice to roles. */
import { z } from 'zod'
import { commonFields, json, name, text, type AnyStep } from '../any-step.ts'
import { objectOf } from '../template-schema.ts'
import type { Json, Template } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

export interface NotifyStep extends AnyStep {
  readonly type: 'notify'
  readonly roles: readonly string[]
  readonly subject?: string
  readonly message: Json
}
export interface NotifySpec {
  type: 'notify'
  roles: readonly string[]
  subject: Template
  message: Template
}

export const notify: StepLanguage<NotifyStep, NotifySpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('notify').describe('Tells roles something and goes on.'),
    roles: z.array(name).min(1).max(50).describe('Whom to tell.'),
    subject: text.optional().describe('What it is about, in one line; may hold ${{ }}.'),
    message: json.describe('What is told; texts in it may hold ${{ }}.'),
  }),
  compensates: true,
  instant: true,
  compile(step, compiler) {
    compiler.checkRoles(step.roles, 'roles')
    return {
      type: 'notify',
      roles: step.roles,
      subject: compiler.text(step.subject ?? '', 'subject'),
      message: compiler.template(step.message, 'message'),
    }
  },
  given: (spec) => spec.message,
  returns: () => objectOf({ notified: { type: 'array', items: { type: 'string' } } }),
  roles: (step) => step.roles,
}
