/** How one step ends: recorded once, counted into the state, told in the history; a failure is retried or ends the execution. */
import type { StepErrorCode } from '../../errors.ts'
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { Evaluated, Json } from '../../language/program.ts'
import type { Draft } from './draft.ts'
import { emitOf, removeInFlight } from './draft.ts'
import { endExecution } from './end-execution.ts'
import { derivedFraction } from './derive.ts'
import type { FailureHints } from './input.ts'
import { record } from './record-step.ts'
import type { Ending } from './record-step.ts'
import type { Run } from './run.ts'

/** What a template made, if it may be stored; else the step has failed, and undefined. */
export function storable(draft: Draft, run: Run, ending: Ending, made: Evaluated<Json>, what: string): Json | undefined {
  if (!made.ok) fail(draft, run, ending, 'EXPRESSION_FAILED', `${what}: ${made.message}`)
  else {
    const payload = checkPayload(made.value, MAX_STATE_BYTES)
    if (payload.ok) return made.value
    fail(
      draft,
      run,
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
  run: Run,
  ending: Ending,
  output: Json,
  more: { route?: string; bytes?: number } = {},
): void {
  let bytes = more.bytes
  if (bytes === undefined) {
    const payload = checkPayload(output, MAX_STATE_BYTES)
    if (!payload.ok && payload.code === 'TOO_LARGE') return fail(draft, run, ending, 'STATE_TOO_LARGE', payload.message)
    if (!payload.ok) return fail(draft, run, ending, 'UNSTORABLE_OUTPUT', payload.message)
    bytes = payload.bytes
  }
  if (draft.stateBytes + bytes > MAX_STATE_BYTES) {
    const message = `The state would be ${draft.stateBytes + bytes} bytes; the limit is ${MAX_STATE_BYTES}.`
    return fail(draft, run, ending, 'STATE_TOO_LARGE', message)
  }
  removeInFlight(draft, run.path)
  draft.stateBytes += bytes
  const { attempt } = ending
  const { route } = more
  draft.steps.set(run.path, { status: 'SUCCEEDED', attempt, output, ...(route === undefined ? {} : { route }) })
  record(draft, run, ending, { status: 'SUCCEEDED', output, ...(route === undefined ? {} : { route }) })
  emitOf(draft, run, 'step.succeeded', { attempt })
}

export function skip(draft: Draft, run: Run, why: string): void {
  draft.steps.set(run.path, { status: 'SKIPPED', attempt: 0 })
  record(draft, run, { attempt: 0, startedAt: null }, { status: 'SKIPPED' })
  emitOf(draft, run, 'step.skipped', { data: { why } })
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
  run: Run,
  ending: Ending,
  code: StepErrorCode | string,
  message: string,
  { retryable = true, kind, retryAfterMs = 0 }: FailureHints = {},
): void {
  const { path, step } = run
  removeInFlight(draft, path)
  const { retry } = step
  const wanted = !retry.on || retry.on.includes(code) || (kind !== undefined && retry.on.includes(kind))
  const error = { code, message }
  if (
    retryable &&
    wanted &&
    !NEVER_RETRIED.has(code as StepErrorCode) &&
    ending.attempt < retry.attempts &&
    !draft.cancelReason
  ) {
    const delay = Math.max(retryDelay(draft.from.id, run, ending.attempt), Math.min(retryAfterMs, retry.maxDelayMs))
    const dueAt = draft.world.now + delay
    draft.inFlight.push({ kind: 'backoff', path, attempt: ending.attempt + 1, startedAt: draft.world.now, dueAt })
    emitOf(draft, run, 'step.retrying', { attempt: ending.attempt, data: { error, delayMs: delay } })
    return
  }
  draft.steps.set(path, { status: 'FAILED', attempt: ending.attempt })
  record(draft, run, ending, { status: 'FAILED', error })
  emitOf(draft, run, 'step.failed', { attempt: ending.attempt, data: { error } })
  if (!draft.cancelReason) endExecution(draft, 'FAILED', `${code}: ${message}`, { ...error, step: step.name })
}

/** ms before the attempt after `attempt`: exponential, bounded, with a share of jitter that is the same on every recount. */
function retryDelay(executionId: string, { path, step }: Run, attempt: number): number {
  const { firstDelayMs, factor, maxDelayMs, jitter } = step.retry
  const full = Math.min(firstDelayMs * factor ** (attempt - 1), maxDelayMs)
  return Math.round(full * (1 - jitter * derivedFraction(`${executionId}/${path}/${attempt}`)))
}
