/** `agent`: asks a role and waits for the answer, until its timeout (A6). */
import { encodeId } from '../../ids.ts'
import type { StepSpec } from '../../language/steps/step-types.ts'
import { storableText } from '../../storable-text.ts'
import type { Draft } from '../decide/draft.ts'
import { emitOf, removeInFlight } from '../decide/draft.ts'
import { scopeOf } from '../decide/scope.ts'
import { derivedUuid } from '../decide/derive.ts'
import { fail, storable, succeed } from '../decide/end-step.ts'
import type { Input } from '../decide/input.ts'
import type { Run } from '../decide/run.ts'
import type { AgentEntry } from '../in-flight.ts'

export function beginAgent(draft: Draft, run: Run, spec: StepSpec & { type: 'agent' }, attempt: number): void {
  const startedAt = draft.lastEventAt
  const scope = scopeOf(draft, run)
  const subject = spec.subject.evaluate(scope)
  if (!subject.ok) return fail(draft, run, { attempt, startedAt }, 'EXPRESSION_FAILED', `subject: ${subject.message}`)
  const body = storable(draft, run, { attempt, startedAt }, spec.request.evaluate(scope), 'request')
  if (body === undefined) return
  const dueAt = draft.world.now + run.step.timeoutMs!
  const id = derivedUuid(draft.world.now, `${draft.from.id}/${run.path}/${attempt}`)
  draft.asks.push({
    ...{ id, path: run.path, attempt, kind: 'REQUEST', role: spec.role, body, deadlineAt: dueAt },
    subject: asText(subject.value),
  })
  draft.inFlight.push({ kind: 'agent', path: run.path, attempt, startedAt, dueAt, requestId: id })
  emitOf(draft, run, 'agent.asked', { attempt, data: { role: spec.role, subject: asText(subject.value) } })
}

export function endAgent(draft: Draft, run: Run, entry: AgentEntry, answer: Input & { kind: 'answered' }): void {
  const { decision, data } = answer
  const answeredBy = encodeId('user', answer.answeredBy)
  removeInFlight(draft, entry.path)
  draft.closedAsks.push({ id: entry.requestId, status: 'ANSWERED', decision, answer: data, answeredBy: answer.answeredBy })
  emitOf(draft, run, 'agent.answered', { attempt: entry.attempt, data: { decision, answeredBy } })
  succeed(draft, run, entry, { decision, data, answeredBy })
}

export function expireAgent(draft: Draft, run: Run, entry: AgentEntry): void {
  draft.closedAsks.push({ id: entry.requestId, status: 'EXPIRED' })
  emitOf(draft, run, 'agent.expired', { attempt: entry.attempt })
  fail(draft, run, entry, 'AGENT_TIMEOUT', `Nobody answered within ${run.step.timeoutMs} ms.`)
}

export const asText = (value: unknown): string => storableText(typeof value === 'string' ? value : JSON.stringify(value), 1000)
