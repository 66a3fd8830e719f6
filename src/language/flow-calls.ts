/** Where a definition calls other flows. */
import type { Definition } from './definition.ts'
import type { StepDefinition } from './steps/step-types.ts'

export interface FlowCall {
  /** `name` of the same owner, or `owner/name` */
  readonly flow: string
  /** of its step */
  readonly path: readonly string[]
}

export function flowCalls({ steps }: Definition): FlowCall[] {
  return Object.entries(steps).flatMap(([name, step]) => callsIn(step, ['steps', name]))
}

/** Of the step itself, and of those inside of it. */
function callsIn(step: StepDefinition, path: readonly string[]): FlowCall[] {
  if (step.type === 'flow') return [{ flow: step.flow, path }]
  return 'step' in step ? callsIn(step.step as unknown as StepDefinition, [...path, 'step']) : []
}
