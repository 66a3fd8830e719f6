/** What undoes a step, compiled: a step inside it, of a type that acts on the outside and needs nothing but itself. */
import { compileStep, compileWhen } from './compile-step.ts'
import type { ProgramStep } from './program.ts'
import { readStep } from './read-step.ts'
import type { StepContext } from './steps/step-language.ts'
import { languageOf, STEP_TYPES } from './steps/step-types.ts'
import type { Json } from './values.ts'

const COMPENSATING = STEP_TYPES.filter((type) => languageOf(type).compensates)

/** undefined, with issues, when it is none. `of`: the step that it undoes. */
export function compileCompensation(of: string, value: Json, context: StepContext): ProgramStep | undefined {
  const path = ['steps', of, 'compensate']
  const { issues } = context
  const { whole } = readStep(value, path, issues)
  if (!whole) return undefined
  if (!COMPENSATING.includes(whole.type)) {
    issues.add('NOT_COMPENSATING', [...path, 'type'], undefined, `the types that can are ${COMPENSATING.join(', ')}`)
  }
  for (const field of ['after', 'on', 'onError', 'compensate'] as const) {
    if (whole[field] !== undefined)
      issues.add('INVALID_VALUE', [...path, field], 'what undoes a step runs in its turn, whatever became of the others')
  }
  const when = whole.when === undefined ? undefined : compileWhen(whole.when, [...path, 'when'], context)
  const needs = { mode: 'all', count: 0, of: [], routes: [] } as const
  return { name: of, needs, ...(when && { when }), ...compileStep(whole, path, context) }
}
