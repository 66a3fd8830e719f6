/** How one step ends: recorded once, counted into the state, told in the history; a failure is retried, goes on, or ends the execution. */
import type { StepErrorCode } from '../../errors.ts'
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { Evaluated, Json } from '../../language/values.ts'
import { storableText } from '../../storable-text.ts'
import type { Draft } from './draft.ts'
import { emitOf } from './draft.ts'
import { conclude } from './end-execution.ts'
import type { FailureHints } from './input.ts'
import { endInside, stateBytesWith } from './nested.ts'
import { record, takeOut } from './record-step.ts'
import type { Ending } from './record-step.ts'
import { retryOf } from './retry.ts'
import type { Run } from './run.ts'
import type { StepRecord } from './snapshot.ts'

/** Of a failure that is tried again, characters: the history has all of it. */
const MOST_TOLD = 300
/** of what an error says */
const MOST_MESSAGE = 2000

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
  const unfit = run.step.returns?.check(output)[0]
  if (unfit) return fail(draft, run, ending, 'INVALID_OUTPUT', `${unfit.path.join('.')}: ${unfit.message}`, { retryable: false })
  let bytes = more.bytes
  if (bytes === undefined) {
    const payload = checkPayload(output, MAX_STATE_BYTES)
    if (!payload.ok && payload.code === 'TOO_LARGE') return fail(draft, run, ending, 'STATE_TOO_LARGE', payload.message)
    if (!payload.ok) return fail(draft, run, ending, 'UNSTORABLE_OUTPUT', payload.message)
    bytes = payload.bytes
  }
  // what undoing returns is not part of the state, and finds room when the state has none
  const stateBytes = draft.ending === null ? stateBytesWith(draft, run, bytes) : draft.stateBytes
  if (draft.ending === null && stateBytes > MAX_STATE_BYTES) {
    const message = `The state would be ${stateBytes} bytes; the limit is ${MAX_STATE_BYTES}.`
    return fail(draft, run, ending, 'STATE_TOO_LARGE', message)
  }
  takeOut(draft, run)
  draft.stateBytes = stateBytes
  const { attempt } = ending
  const { route } = more
  const endedAt = Math.max(draft.world.now, draft.lastEventAt)
  const ended: StepRecord = { status: 'SUCCEEDED', attempt, output, endedAt }
  if (route !== undefined) ended.route = route
  if (run.within) endInside(draft, run, ended, { bytes })
  else draft.steps.set(run.path, ended)
  record(draft, run, ending, ended)
  emitOf(draft, run, 'step.succeeded', { attempt })
}

export function skip(draft: Draft, run: Run, why: string): void {
  const ended: StepRecord = { status: 'SKIPPED', attempt: 0 }
  if (run.within) endInside(draft, run, ended)
  else draft.steps.set(run.path, ended)
  record(draft, run, { attempt: 0, startedAt: null }, { status: 'SKIPPED' })
  emitOf(draft, run, 'step.skipped', { data: { why } })
}

/** The attempt failed: the step waits for its next attempt, or fails; what then becomes of the execution, its `onError` says. */
export function fail(
  draft: Draft,
  run: Run,
  ending: Ending,
  code: StepErrorCode | string,
  message: string,
  hints: FailureHints = {},
): void {
  const { path, step } = run
  takeOut(draft, run)
  const { attempt } = ending
  const error = { code, message: storableText(message, MOST_MESSAGE) }
  const retry = retryOf(draft, run, ending, code, hints)
  if (retry) {
    // of one inside of a map its step run tells, in the end: a thousand of them would be carried along here
    draft.inFlight.push(run.within ? retry.entry : { ...retry.entry, error: { code, message: storableText(message, MOST_TOLD) } })
    emitOf(draft, run, 'step.retrying', { attempt, data: { error, delayMs: retry.delayMs } })
    return
  }
  const ended: StepRecord = { status: 'FAILED', attempt, error }
  if (run.within) endInside(draft, run, ended, step.onError ? {} : { error })
  else draft.steps.set(path, ended)
  record(draft, run, ending, { status: 'FAILED', error })
  const { onError } = step
  emitOf(draft, run, 'step.failed', { attempt, data: { error, ...(onError && { onError }) } })
  // what fails to undo keeps nothing else from being undone; what fails inside of a map or a loop is for these to judge
  if (!onError && !run.within && draft.ending === null && draft.cancelReason === null)
    conclude(draft, 'FAILED', `${code}: ${error.message}`, { ...error, step: step.name })
}
