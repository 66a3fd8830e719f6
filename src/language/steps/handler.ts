/** `handler` in a definition: runs code that the operator registered. */
import { z } from 'zod'
import { commonFields, name, template, type AnyStep } from '../any-step.ts'
import { didYouMean } from '../nearest-name.ts'
import type { JsonObject, Template } from '../values.ts'
import type { StepCompiler, StepLanguage } from './step-language.ts'

/** of one step */
const MAX_SECRETS = 10

export interface HandlerStep extends AnyStep {
  readonly type: 'handler'
  readonly handler: string
  readonly with?: JsonObject
  /** names of secrets of the flow's owner, given to the handler alone */
  readonly secrets?: readonly string[]
  readonly atMostOnce?: boolean
}
export interface HandlerSpec {
  type: 'handler'
  handler: string
  with: Template
  secrets: readonly string[]
  atMostOnce: boolean
}

export const handler: StepLanguage<HandlerStep, HandlerSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('handler').describe('Runs code that the operator registered.'),
    handler: name.describe('The name of the handler.'),
    with: template.optional().describe('What the handler is given; texts in it may hold ${{ }}.'),
    secrets: z
      .array(name)
      .min(1)
      .max(MAX_SECRETS)
      .optional()
      .describe("Names of secrets of the flow's owner that the handler gets."),
    atMostOnce: z.boolean().optional().describe('After a crash it fails instead of running again.'),
  }),
  mayRunElsewhere: true,
  compensates: true,
  timeout: { otherwiseMs: 300_000 },
  compile(step, compiler) {
    const { handler, atMostOnce = false, secrets = [] } = step
    const { allow, issues, path } = compiler
    if (!allow.handlers.has(handler)) {
      issues.add('UNKNOWN_HANDLER', [...path, 'handler'], undefined, () => didYouMean(handler, allow.handlers))
    }
    checkSecrets(secrets, compiler)
    return { type: 'handler', handler, with: compiler.template(step.with ?? {}, 'with'), secrets, atMostOnce }
  },
  given: (spec) => spec.with,
}

/** Whose they are is not known here: `operations` asks that they exist, and a step gets them only if they still do. */
export function checkSecrets(secrets: readonly string[], compiler: StepCompiler): void {
  for (const [i, secret] of secrets.entries()) {
    if (compiler.checkName(secret, 'secrets', String(i)) && secrets.indexOf(secret) < i)
      compiler.issues.add('DUPLICATE', [...compiler.path, 'secrets', String(i)], `${secret} is named twice`)
  }
}
