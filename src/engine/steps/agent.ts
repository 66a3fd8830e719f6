/** `agent`: asks a role and waits for the answer, until its timeout (A6). */
import { encodeId } from '../../ids.ts'
import type { ProgramStep, StepSpec } from '../../language/program.ts'
import type { Draft } from '../decide/draft.ts'
import { emit, removeInFlight, scopeOf } from '../decide/draft.ts'
import { derivedUuid } from '../decide/derive.ts'
import { fail, storable, succeed } from '../decide/end-step.ts'
import type { Input } from '../decide/input.ts'
import type { AgentEntry } from '../in-flight.ts'

export function beginAgent(draft: Draft, step: ProgramStep, spec: StepSpec & { type: 'agent' }, attempt: number): void {
  const startedAt = draft.lastEventAt
  const scope = scopeOf(draft)
  const subject = spec.subject.evaluate(scope)
  if (!subject.ok) return fail(draft, step, { attempt, startedAt }, 'EXPRESSION_FAILED', `subject: ${subject.message}`)
  const body = storable(draft, step, { attempt, startedAt }, spec.request.evaluate(scope), 'request')
  if (body === undefined) return
  const dueAt = draft.world.now + step.timeoutMs!
  const id = derivedUuid(draft.world.now, `${draft.from.id}/${step.name}/${attempt}`)
  draft.asks.push({
    ...{ id, path: step.name, attempt, kind: 'REQUEST', role: spec.role, body, deadlineAt: dueAt },
    subject: asText(subject.value),
  })
  draft.inFlight.push({ kind: 'agent', path: step.name, attempt, startedAt, dueAt, requestId: id })
  emit(draft, 'agent.asked', {
    step: step.name,
    path: step.name,
    attempt,
    data: { role: spec.role, subject: asText(subject.value) },
  })
}

export function endAgent(draft: Draft, step: ProgramStep, entry: AgentEntry, answer: Input & { kind: 'answered' }): void {
  const { decision, data } = answer
  const answeredBy = encodeId('user', answer.answeredBy)
  removeInFlight(draft, entry.path)
  draft.closedAsks.push({ id: entry.requestId, status: 'ANSWERED', decision, answer: data, answeredBy: answer.answeredBy })
  emit(draft, 'agent.answered', { step: step.name, path: entry.path, attempt: entry.attempt, data: { decision, answeredBy } })
  succeed(draft, step, entry, { decision, data, answeredBy })
}

export function expireAgent(draft: Draft, step: ProgramStep, entry: AgentEntry): void {
  draft.closedAsks.push({ id: entry.requestId, status: 'EXPIRED' })
  emit(draft, 'agent.expired', { step: step.name, path: entry.path, attempt: entry.attempt })
  fail(draft, step, entry, 'AGENT_TIMEOUT', `Nobody answered within ${step.timeoutMs} ms.`)
}

export const asText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 1000)
