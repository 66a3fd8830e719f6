/** `flow`: another flow as an execution of its own. An act starts it, by an id that is known before; then its end is waited for. */
import { encodeId } from '../../ids.ts'
import type { FlowSpec } from '../../language/steps/flow.ts'
import { derivedUuid } from '../decide/derive.ts'
import type { Draft } from '../decide/draft.ts'
import { emitOf, replaceInFlight } from '../decide/draft.ts'
import { fail, succeed } from '../decide/end-step.ts'
import type { Input } from '../decide/input.ts'
import { cancelStep, tellChild } from '../decide/record-step.ts'
import { runAt } from '../decide/run.ts'
import type { Run } from '../decide/run.ts'
import type { ActEntry, ChildEntry } from '../in-flight.ts'
import { launch } from './act.ts'

export function beginFlow(draft: Draft, run: Run, spec: FlowSpec, attempt: number): void {
  const childId = derivedUuid(draft.world.now, `${draft.from.id}/${run.path}/${attempt}`)
  const entry: ActEntry = { kind: 'act', path: run.path, attempt, startedAt: draft.lastEventAt, epoch: 0, childId }
  draft.inFlight.push(entry)
  launch(draft, run, spec, entry)
}

/** The child is there. */
export function childStarted(draft: Draft, run: Run, { path, attempt, startedAt, childId }: ActEntry): void {
  if (childId === undefined) return
  const dueAt = startedAt + run.step.timeoutMs!
  replaceInFlight(draft, { kind: 'child', path, attempt, startedAt, childId, dueAt })
  emitOf(draft, run, 'child.started', { attempt, data: { execution: encodeId('execution', childId) } })
  if (draft.cancelReason !== null) tellChild(draft, { childId }, draft.cancelReason)
}

/** A child says how it ended; what nobody waits for any more changes nothing. */
export function childEnded(draft: Draft, word: Input & { kind: 'childEnded' }): void {
  const entry = draft.inFlight.find((other) => 'childId' in other && other.childId === word.childId)
  const run = entry && runAt(draft.from.program, entry.path)
  if (!run) return
  if (entry.kind === 'act') draft.aborts.push({ path: entry.path, attempt: entry.attempt })
  if (word.status === 'SUCCEEDED') return succeed(draft, run, entry, word.output ?? null)
  if (draft.cancelReason !== null) return cancelStep(draft, run, entry)
  const why = word.error ? `${word.error.code}: ${word.error.message}` : word.reason
  const message = `${encodeId('execution', word.childId)} ended as ${word.status}. ${why ?? ''}`.trim()
  fail(draft, run, entry, 'CHILD_FAILED', message)
}

export function expireChild(draft: Draft, run: Run, entry: ChildEntry): void {
  tellChild(draft, entry, 'The step that started it timed out.')
  fail(draft, run, entry, 'TIMEOUT', `${encodeId('execution', entry.childId)} did not end within ${run.step.timeoutMs} ms.`)
}
