/** Whether a failed attempt has another, and when. */
import type { StepErrorCode } from '../../errors.ts'
import type { TimerEntry } from '../in-flight.ts'
import { derivedFraction } from './derive.ts'
import { isStopping } from './draft.ts'
import type { Draft } from './draft.ts'
import type { FailureHints } from './input.ts'
import type { Ending } from './record-step.ts'
import type { Run } from './run.ts'

/** Faults of the definition or the state come out the same every time: no retry helps. */
const NEVER_RETRIED: ReadonlySet<string> = new Set<StepErrorCode>([
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

/** The pause before the next attempt; undefined: there is none. A failure may ask for a longer one, up to the longest of the policy. */
export function retryOf(
  draft: Draft,
  run: Run,
  { attempt, startedAt, firstAt = startedAt ?? draft.world.now }: Ending,
  code: string,
  { retryable = true, kind, retryAfterMs = 0 }: FailureHints,
): { entry: TimerEntry; delayMs: number } | undefined {
  const { on, notOn, attempts, maxDelayMs, withinMs } = run.step.retry
  if (!retryable || attempt >= attempts || isStopping(draft) || NEVER_RETRIED.has(code)) return undefined
  const isIn = (names: readonly string[]): boolean => names.includes(code) || (kind !== undefined && names.includes(kind))
  if ((on && !isIn(on)) || (notOn && isIn(notOn))) return undefined
  const { now } = draft.world
  const delayMs = Math.max(delayOf(draft.from.id, run, attempt), Math.min(retryAfterMs, maxDelayMs))
  const dueAt = now + delayMs
  if (withinMs !== undefined && dueAt > firstAt + withinMs) return undefined
  const entry: TimerEntry = { kind: 'backoff', path: run.path, attempt: attempt + 1, startedAt: now, dueAt }
  return { entry: withinMs === undefined ? entry : { ...entry, firstAt }, delayMs }
}

/** ms before the attempt after `attempt`: exponential, bounded, with a share of jitter that is the same on every recount. */
function delayOf(executionId: string, { path, step }: Run, attempt: number): number {
  const { firstDelayMs, factor, maxDelayMs, jitter } = step.retry
  const full = Math.min(firstDelayMs * factor ** (attempt - 1), maxDelayMs)
  return Math.round(full * (1 - jitter * derivedFraction(`${executionId}/${path}/${attempt}`)))
}
