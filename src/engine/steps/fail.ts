/** `fail`: ends the execution on purpose, with a code and a message of the flow's author. */
import type { StepSpec } from '../../language/steps/step-types.ts'
import type { Draft } from '../decide/draft.ts'
import { scopeOf } from '../decide/scope.ts'
import { fail } from '../decide/end-step.ts'
import type { Run } from '../decide/run.ts'

export function beginFail(draft: Draft, run: Run, spec: StepSpec & { type: 'fail' }, attempt: number): void {
  const ending = { attempt, startedAt: draft.lastEventAt }
  const message = spec.message.evaluate(scopeOf(draft, run))
  if (!message.ok) return fail(draft, run, ending, 'EXPRESSION_FAILED', message.message)
  const text = typeof message.value === 'string' ? message.value : JSON.stringify(message.value)
  fail(draft, run, ending, spec.code, text, { retryable: false })
}
