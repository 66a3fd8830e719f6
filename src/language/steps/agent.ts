/** `agent` in a definition: asks a role and waits for the answer (A6). */
import { z } from 'zod'
import { commonFields, json, name, text, type AnyStep } from '../any-step.ts'
import { objectOf } from '../template-schema.ts'
import type { Json, Template } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

/** A6: a longer wish is capped, and the cap is shown as a warning. */
const MAX_AGENT_TIMEOUT_MS = 600_000

export interface AgentStep extends AnyStep {
  readonly type: 'agent'
  readonly role: string
  readonly subject: string
  readonly request: Json
}
export interface AgentSpec {
  type: 'agent'
  role: string
  subject: Template
  request: Template
}

export const agent: StepLanguage<AgentStep, AgentSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('agent').describe('Asks a role and waits for the answer.'),
    role: name.describe('The role that is asked.'),
    subject: text.describe('What it is about, in one line; may hold ${{ }}.'),
    request: json.describe('What is asked; texts in it may hold ${{ }}.'),
  }),
  compensates: true,
  timeout: { otherwiseMs: 60_000, mostMs: MAX_AGENT_TIMEOUT_MS },
  compile(step, compiler) {
    compiler.checkRole(step.role, 'role')
    return {
      type: 'agent',
      role: step.role,
      subject: compiler.text(step.subject, 'subject'),
      request: compiler.template(step.request, 'request'),
    }
  },
  given: (spec) => spec.request,
  returns: () => objectOf({ decision: { type: 'string' }, data: {}, answeredBy: { type: 'string' } }),
  roles: (step) => [step.role],
}
