/** `transform` in a definition: makes an object from templates. */
import { z } from 'zod'
import { commonFields, template, type AnyStep } from '../any-step.ts'
import { schemaOfTemplate } from '../template-schema.ts'
import type { JsonObject, Template } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

export interface TransformStep extends AnyStep {
  readonly type: 'transform'
  readonly set: JsonObject
}
export interface TransformSpec {
  type: 'transform'
  set: Template
}

export const transform: StepLanguage<TransformStep, TransformSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('transform').describe('Makes an object from templates.'),
    set: template.describe('Its output; texts in it may hold ${{ }}.'),
  }),
  instant: true,
  compile: (step, compiler) => ({ type: 'transform', set: compiler.template(step.set, 'set') }),
  given: (spec) => spec.set,
  returns: (step) => schemaOfTemplate(step.set),
}
