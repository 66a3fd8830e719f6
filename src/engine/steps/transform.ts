/** `transform`: makes an object from templates; takes no time. */
import type { StepSpec } from '../../language/steps/step-types.ts'
import type { Draft } from '../decide/draft.ts'
import { evaluate } from '../decide/scope.ts'
import { fail, succeed } from '../decide/end-step.ts'
import type { Run } from '../decide/run.ts'

export function beginTransform(draft: Draft, run: Run, spec: StepSpec & { type: 'transform' }, attempt: number): void {
  const ending = { attempt, startedAt: draft.lastEventAt }
  const made = evaluate(spec.set, draft, run)
  if (made.ok) succeed(draft, run, ending, made.value)
  else fail(draft, run, ending, 'EXPRESSION_FAILED', made.message)
}
