/** How an execution ends: everything under way ends in the same commit, and nothing can change afterwards. */
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { ExecutionError } from '../entities/execution.ts'
import type { EndedStatus, EventType } from '../states.ts'
import type { Draft } from './draft.ts'
import { emit, scopeOf } from './draft.ts'
import { cancelStep } from './record-step.ts'
import { runAt } from './run.ts'

const END_EVENT: Record<EndedStatus, EventType> = {
  SUCCEEDED: 'execution.succeeded',
  FAILED: 'execution.failed',
  CANCELED: 'execution.canceled',
  TIMED_OUT: 'execution.timedOut',
}

export function endExecution(
  draft: Draft,
  status: EndedStatus,
  reason: string | null,
  error: ExecutionError | null = null,
): void {
  for (const entry of draft.inFlight) {
    const run = runAt(draft.from.program, entry.path)
    if (run) cancelStep(draft, run, entry)
    else if (entry.kind === 'agent') draft.closedAsks.push({ id: entry.requestId, status: 'CANCELED' })
  }
  emit(draft, END_EVENT[status], error ? { data: { error: { ...error } } } : reason ? { data: { reason } } : {})
  draft.status = status
  draft.endedAt = draft.lastEventAt
  draft.reason = reason
  draft.error = error
  draft.inFlight = []
  draft.owner = draft.wakeAt = draft.deadlineAt = null
}

/** Every step has ended: the flow's output is made, and with it the execution succeeds or fails. */
export function finish(draft: Draft): void {
  const template = draft.from.program.output
  if (!template) return endExecution(draft, 'SUCCEEDED', null)
  const output = template.evaluate(scopeOf(draft))
  if (!output.ok) return failOutput(draft, 'EXPRESSION_FAILED', `The flow's output: ${output.message}`)
  const payload = checkPayload(output.value, MAX_STATE_BYTES)
  if (!payload.ok) {
    const code = payload.code === 'TOO_LARGE' ? 'STATE_TOO_LARGE' : 'UNSTORABLE_OUTPUT'
    return failOutput(draft, code, `The flow's output: ${payload.message}`)
  }
  draft.output = output.value
  endExecution(draft, 'SUCCEEDED', null)
}

function failOutput(draft: Draft, code: string, message: string): void {
  endExecution(draft, 'FAILED', `${code}: ${message}`, { code, message })
}
