/** `flow` in a definition: another flow as a step, run as an execution of its own. */
import { z } from 'zod'
import { commonFields, name, template, type AnyStep } from '../any-step.ts'
import type { JsonObject, Template } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

export interface FlowStep extends AnyStep {
  readonly type: 'flow'
  /** `name` of the same owner, or `owner/name` */
  readonly flow: string
  readonly version?: number
  readonly input?: JsonObject
}
export interface FlowSpec {
  type: 'flow'
  flow: string
  /** undefined: the newest when it starts */
  version?: number
  input: Template
}

export const flow: StepLanguage<FlowStep, FlowSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('flow').describe('Runs another flow, and has its output.'),
    flow: name.describe('Its name, or "owner/name".'),
    version: z.int().min(1).optional().describe('The number of its version; the latest unless given.'),
    input: template.optional().describe('Its input; texts in it may hold ${{ }}.'),
  }),
  timeout: { otherwiseMs: 30 * 86_400_000 },
  compile(step, compiler) {
    const parts = step.flow.split('/')
    if (parts.length > 2 || parts.some((part) => part.trim() === '')) {
      compiler.issues.add('INVALID_VALUE', [...compiler.path, 'flow'], 'must be the name of a flow, or "owner/name"')
    }
    return {
      type: 'flow',
      flow: step.flow,
      ...(step.version !== undefined && { version: step.version }),
      input: compiler.template(step.input ?? {}, 'input'),
    }
  },
  given: (spec) => spec.input,
}
