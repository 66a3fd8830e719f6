/** How one step ends: recorded once, counted into the state, told in the history; a failure is retried or ends the execution. */
import type { StepErrorCode } from '../../errors.ts'
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { Evaluated, Json, ProgramStep } from '../../language/program.ts'
import type { Draft } from './draft.ts'
import { emit, removeInFlight } from './draft.ts'
import { endExecution } from './end-execution.ts'
import { derivedFraction } from './derive.ts'
import { record } from './record-step.ts'
import type { Ending } from './record-step.ts'

/** What a template made, if it may be stored; else the step has failed, and undefined. */
export function storable(draft: Draft, step: ProgramStep, ending: Ending, made: Evaluated<Json>, what: string): Json | undefined {
  if (!made.ok) fail(draft, step, ending, 'EXPRESSION_FAILED', `${what}: ${made.message}`)
  else {
    const payload = checkPayload(made.value, MAX_STATE_BYTES)
    if (payload.ok) return made.value
    fail(
      draft,
      step,
      ending,
      payload.code === 'TOO_LARGE' ? 'STATE_TOO_LARGE' : 'UNSTORABLE_OUTPUT',
      `${what}: ${payload.message}`,
    )
  }
  return undefined
}

/** `bytes`: the output's size as compact UTF-8 JSON, if it is known already. */
export function succeed(
  draft: Draft,
  step: ProgramStep,
  ending: Ending,
  output: Json,
  more: { route?: string; bytes?: number } = {},
): void {
  let bytes = more.bytes
  if (bytes === undefined) {
    const payload = checkPayload(output, MAX_STATE_BYTES)
    if (!payload.ok && payload.code === 'TOO_LARGE') return fail(draft, step, ending, 'STATE_TOO_LARGE', payload.message)
    if (!payload.ok) return fail(draft, step, ending, 'UNSTORABLE_OUTPUT', payload.message)
    bytes = payload.bytes
  }
  if (draft.stateBytes + bytes > MAX_STATE_BYTES) {
    const message = `The state would be ${draft.stateBytes + bytes} bytes; the limit is ${MAX_STATE_BYTES}.`
    return fail(draft, step, ending, 'STATE_TOO_LARGE', message)
  }
  removeInFlight(draft, step.name)
  draft.stateBytes += bytes
  const { attempt } = ending
  const { route } = more
  draft.steps.set(step.name, { status: 'SUCCEEDED', attempt, output, ...(route === undefined ? {} : { route }) })
  record(draft, step, ending, { status: 'SUCCEEDED', output, ...(route === undefined ? {} : { route }) })
  emit(draft, 'step.succeeded', { step: step.name, path: step.name, attempt })
}

export function skip(draft: Draft, step: ProgramStep, why: string): void {
  draft.steps.set(step.name, { status: 'SKIPPED', attempt: 0 })
  record(draft, step, { attempt: 0, startedAt: null }, { status: 'SKIPPED' })
  emit(draft, 'step.skipped', { step: step.name, path: step.name, data: { why } })
}

/** Faults of the definition or the state come out the same every time: no retry helps. */
const NEVER_RETRIED: ReadonlySet<StepErrorCode> = new Set([
  'EXPRESSION_FAILED',
  'NO_ROUTE',
  'INVALID_OUTPUT',
  'UNSTORABLE_OUTPUT',
  'STATE_TOO_LARGE',
  'HANDLER_NOT_REGISTERED',
  'NOT_ALLOWED',
  'OUTCOME_UNKNOWN',
  'POISONED',
  'FLOW_FAILED',
])

/** The attempt failed: the step waits for its next attempt, or fails and takes the execution with it. */
export function fail(
  draft: Draft,
  step: ProgramStep,
  ending: Ending,
  code: StepErrorCode | string,
  message: string,
  retryable = true,
): void {
  removeInFlight(draft, step.name)
  const { retry, name } = step
  const wanted = retry.on ? retry.on.includes(code) : true
  const error = { code, message }
  if (
    retryable &&
    wanted &&
    !NEVER_RETRIED.has(code as StepErrorCode) &&
    ending.attempt < retry.attempts &&
    !draft.cancelReason
  ) {
    const delay = retryDelay(draft.from.id, step, ending.attempt)
    const dueAt = draft.world.now + delay
    draft.inFlight.push({ kind: 'backoff', path: name, attempt: ending.attempt + 1, startedAt: draft.world.now, dueAt })
    emit(draft, 'step.retrying', { step: name, path: name, attempt: ending.attempt, data: { error, delayMs: delay } })
    return
  }
  draft.steps.set(name, { status: 'FAILED', attempt: ending.attempt })
  record(draft, step, ending, { status: 'FAILED', error })
  emit(draft, 'step.failed', { step: name, path: name, attempt: ending.attempt, data: { error } })
  if (!draft.cancelReason) endExecution(draft, 'FAILED', `${code}: ${message}`, { ...error, step: name })
}

/** ms before the attempt after `attempt`: exponential, bounded, with a share of jitter that is the same on every recount. */
function retryDelay(executionId: string, step: ProgramStep, attempt: number): number {
  const { firstDelayMs, factor, maxDelayMs, jitter } = step.retry
  const full = Math.min(firstDelayMs * factor ** (attempt - 1), maxDelayMs)
  return Math.round(full * (1 - jitter * derivedFraction(`${executionId}/${step.name}/${attempt}`)))
}
