/** `route`: takes the route of the first case that is true; takes no time. */
import type { StepSpec } from '../../language/steps/step-types.ts'
import type { Draft } from '../decide/draft.ts'
import { emitOf } from '../decide/draft.ts'
import { scopeOf } from '../decide/scope.ts'
import { fail, succeed } from '../decide/end-step.ts'
import type { Run } from '../decide/run.ts'

export function beginRoute(draft: Draft, run: Run, spec: StepSpec & { type: 'route' }, attempt: number): void {
  const ending = { attempt, startedAt: draft.lastEventAt }
  const scope = scopeOf(draft, run)
  let route = spec.otherwise
  for (const { when, to } of spec.cases) {
    const condition = when.evaluate(scope)
    if (!condition.ok) return fail(draft, run, ending, 'EXPRESSION_FAILED', `case ${to}: ${condition.message}`)
    if (condition.value) {
      route = to
      break
    }
  }
  if (route === undefined) return fail(draft, run, ending, 'NO_ROUTE', 'No case matched and there is no `otherwise`.')
  succeed(draft, run, ending, { route }, { route })
  if (draft.steps.get(run.path)?.status === 'SUCCEEDED') emitOf(draft, run, 'route.taken', { data: { route } })
}
