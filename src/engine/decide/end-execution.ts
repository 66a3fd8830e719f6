/** How an execution ends: everything under way ends in the same commit, what is to be undone is, and nothing can change afterwards. */
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { ProgramStep } from '../../language/program.ts'
import type { ExecutionError } from '../entities/execution.ts'
import { isAttempt } from '../in-flight.ts'
import type { EndedStatus, EventType, UnhappyStatus } from '../states.ts'
import type { Draft } from './draft.ts'
import { emit } from './draft.ts'
import { evaluate } from './scope.ts'
import { abortOf, cancelStep } from './record-step.ts'
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
  stopAll(draft)
  emit(draft, END_EVENT[status], error ? { data: { error: { ...error } } } : reason ? { data: { reason } } : {})
  draft.status = status
  draft.endedAt = draft.lastEventAt
  draft.reason = reason
  draft.error = error
  draft.owner = draft.wakeAt = draft.deadlineAt = draft.ending = null
  const { id, parentId, program } = draft.from
  if (program.onFailure && (status === 'FAILED' || status === 'TIMED_OUT')) draft.waits.push({ kind: 'failed' })
  if (parentId == null) return
  const body = { childId: id, status, reason, error: error && { ...error } }
  draft.words.push({ executionId: parentId, key: `ended/${id}`, kind: 'childEnded', body })
}

/**
 * It will end so. When steps that succeeded say how to undo them, that comes first, in a time of its own: `compensate` goes on with it.
 * Until then `reason` and `error` tell why.
 */
export function conclude(draft: Draft, status: UnhappyStatus, reason: string, error: ExecutionError | null = null): void {
  const { compensation } = draft.from.program
  // a retry that never began leaves what it would have gone on with as it was
  const count = compensation && draft.startedAt !== null ? undoable(draft).length : 0
  if (!compensation || count === 0) return endExecution(draft, status, reason, error)
  stopAll(draft)
  draft.ending = status
  draft.reason = reason
  draft.error = error
  draft.pauseReason = null
  draft.deadlineAt = draft.world.now + compensation.timeoutMs
  emit(draft, 'compensation.started', { data: { ending: status, reason, steps: count } })
}

/** The steps that are undone when it ends badly, in the order in which that is done: the last that ended comes first. */
export function undoable({ from, steps }: Draft): ProgramStep[] {
  const ended = from.program.compensation!.steps.filter(({ name }) => steps.get(name)?.status === 'SUCCEEDED')
  // of those that ended together, none waited for one before it here
  return ended.toReversed().sort((a, b) => steps.get(b.name)!.endedAt! - steps.get(a.name)!.endedAt!)
}

/** Nothing that is under way goes on, and nothing that was about to begin does. */
export function stopAll(draft: Draft): void {
  for (const entry of draft.inFlight) {
    // what is inside of a map or a loop was canceled with it
    if (!draft.inFlight.some(({ path }) => path === entry.path)) continue
    const run = runAt(draft.from.program, entry.path)
    if (run) cancelStep(draft, run, entry)
    else if (isAttempt(entry)) draft.aborts.push(abortOf(entry))
    else if (entry.kind === 'agent' || entry.kind === 'approval')
      draft.closedAsks.push({ id: entry.requestId, status: 'CANCELED' })
  }
  draft.inFlight = []
  draft.launches.length = 0
}

/** Every step has ended: the flow's output is made, and with it the execution succeeds or fails. */
export function finish(draft: Draft): void {
  const template = draft.from.program.output
  if (!template) return endExecution(draft, 'SUCCEEDED', null)
  const output = evaluate(template, draft)
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
  conclude(draft, 'FAILED', `${code}: ${message}`, { code, message })
}
