/** `transform`: makes an object from templates; takes no time. */
import type { ProgramStep, StepSpec } from '../../language/program.ts'
import type { Draft } from '../decide/draft.ts'
import { scopeOf } from '../decide/draft.ts'
import { fail, succeed } from '../decide/end-step.ts'

export function beginTransform(draft: Draft, step: ProgramStep, spec: StepSpec & { type: 'transform' }, attempt: number): void {
  const ending = { attempt, startedAt: draft.lastEventAt }
  const made = spec.set.evaluate(scopeOf(draft))
  if (made.ok) succeed(draft, step, ending, made.value)
  else fail(draft, step, ending, 'EXPRESSION_FAILED', made.message)
}
