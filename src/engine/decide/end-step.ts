/** How one step ends: recorded once, counted into the state, told in the history; a failure is retried or ends the execution. */
import type { StepErrorCode } from '../../errors.ts'
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { Json, ProgramStep } from '../../language/program.ts'
import type { InFlight } from '../in-flight.ts'
import type { Draft } from './draft.ts'
import { emit, removeInFlight } from './draft.ts'
import { endExecution } from './end-execution.ts'
import { derivedFraction } from './derive.ts'

export interface Ending {
  attempt: number
  startedAt: number | null
  input?: Json
}

const endingOf = (entry: InFlight): Ending => ({ attempt: entry.attempt, startedAt: entry.startedAt })

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

/** What was under way is over without a result, because its execution ends or its wait is not wanted any more. */
export function cancelStep(draft: Draft, step: ProgramStep, entry: InFlight): void {
  removeInFlight(draft, entry.path)
  if (entry.kind === 'agent') draft.closedAsks.push({ id: entry.requestId, status: 'CANCELED' })
  if (entry.kind === 'act' && entry.epoch !== 0) draft.aborts.push({ path: entry.path, attempt: entry.attempt })
  draft.steps.set(step.name, { status: 'CANCELED', attempt: entry.attempt })
  record(draft, step, endingOf(entry), { status: 'CANCELED' })
  emit(draft, 'step.canceled', { step: step.name, path: entry.path, attempt: entry.attempt })
}

function record(
  draft: Draft,
  step: ProgramStep,
  ending: Ending,
  result: Pick<Draft['stepRuns'][number], 'status' | 'output' | 'route' | 'error'>,
): void {
  draft.stepRuns.push({
    ...{ path: step.name, name: step.name, type: step.spec.type },
    ...{ attempt: ending.attempt, startedAt: ending.startedAt, finishedAt: Math.max(draft.world.now, draft.lastEventAt) },
    ...(ending.input === undefined ? {} : { input: ending.input }),
    ...result,
  })
}

/** ms before the attempt after `attempt`: exponential, bounded, with a share of jitter that is the same on every recount. */
function retryDelay(executionId: string, step: ProgramStep, attempt: number): number {
  const { firstDelayMs, factor, maxDelayMs, jitter } = step.retry
  const full = Math.min(firstDelayMs * factor ** (attempt - 1), maxDelayMs)
  return Math.round(full * (1 - jitter * derivedFraction(`${executionId}/${step.name}/${attempt}`)))
}
