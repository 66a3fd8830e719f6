/** `notify`: sends a notice to roles and goes on; it is stored with the execution, so that an outage delays and never loses it. */
import type { StepSpec } from '../../language/steps/step-types.ts'
import type { Draft } from '../decide/draft.ts'
import { emitOf } from '../decide/draft.ts'
import { scopeOf } from '../decide/scope.ts'
import { derivedUuid } from '../decide/derive.ts'
import { fail, storable, succeed } from '../decide/end-step.ts'
import type { Run } from '../decide/run.ts'
import { asText } from './agent.ts'

export function beginNotify(draft: Draft, run: Run, spec: StepSpec & { type: 'notify' }, attempt: number): void {
  const ending = { attempt, startedAt: draft.lastEventAt }
  const scope = scopeOf(draft, run)
  const subject = spec.subject.evaluate(scope)
  if (!subject.ok) return fail(draft, run, ending, 'EXPRESSION_FAILED', `subject: ${subject.message}`)
  const body = storable(draft, run, ending, spec.message.evaluate(scope), 'message')
  if (body === undefined) return
  for (const role of spec.roles) {
    const id = derivedUuid(draft.world.now, `${draft.from.id}/${run.path}/${attempt}/${role}`)
    draft.asks.push({
      ...{ id, path: run.path, attempt, kind: 'NOTICE', role, body, deadlineAt: null },
      subject: asText(subject.value),
    })
    emitOf(draft, run, 'agent.notified', { attempt, data: { role, subject: asText(subject.value) } })
  }
  succeed(draft, run, ending, { notified: [...spec.roles] })
}
