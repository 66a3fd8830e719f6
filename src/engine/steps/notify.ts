/** `notify`: sends a notice to roles and goes on; it is stored with the execution, so that an outage delays and never loses it. */
import type { ProgramStep, StepSpec } from '../../language/program.ts'
import type { Draft } from '../decide/draft.ts'
import { emit, scopeOf } from '../decide/draft.ts'
import { derivedUuid } from '../decide/derive.ts'
import { fail, storable, succeed } from '../decide/end-step.ts'
import { asText } from './agent.ts'

export function beginNotify(draft: Draft, step: ProgramStep, spec: StepSpec & { type: 'notify' }, attempt: number): void {
  const ending = { attempt, startedAt: draft.lastEventAt }
  const scope = scopeOf(draft)
  const subject = spec.subject.evaluate(scope)
  if (!subject.ok) return fail(draft, step, ending, 'EXPRESSION_FAILED', `subject: ${subject.message}`)
  const body = storable(draft, step, ending, spec.message.evaluate(scope), 'message')
  if (body === undefined) return
  for (const role of spec.roles) {
    const id = derivedUuid(draft.world.now, `${draft.from.id}/${step.name}/${attempt}/${role}`)
    draft.asks.push({
      ...{ id, path: step.name, attempt, kind: 'NOTICE', role, body, deadlineAt: null },
      subject: asText(subject.value),
    })
    emit(draft, 'agent.notified', { step: step.name, path: step.name, attempt, data: { role, subject: asText(subject.value) } })
  }
  succeed(draft, step, ending, { notified: [...spec.roles] })
}
