/** `route`: takes the route of the first case that is true; takes no time. */
import type { ProgramStep, StepSpec } from '../../language/program.ts'
import type { Draft } from '../decide/draft.ts'
import { emit, scopeOf } from '../decide/draft.ts'
import { fail, succeed } from '../decide/end-step.ts'

export function beginRoute(draft: Draft, step: ProgramStep, spec: StepSpec & { type: 'route' }, attempt: number): void {
  const ending = { attempt, startedAt: draft.lastEventAt }
  const scope = scopeOf(draft)
  let route = spec.otherwise
  for (const { when, to } of spec.cases) {
    const condition = when.evaluate(scope)
    if (!condition.ok) return fail(draft, step, ending, 'EXPRESSION_FAILED', `case ${to}: ${condition.message}`)
    if (condition.value) {
      route = to
      break
    }
  }
  if (route === undefined) return fail(draft, step, ending, 'NO_ROUTE', 'No case matched and there is no `otherwise`.')
  succeed(draft, step, ending, { route }, { route })
  if (draft.steps.get(step.name)?.status === 'SUCCEEDED')
    emit(draft, 'route.taken', { step: step.name, path: step.name, data: { route } })
}
