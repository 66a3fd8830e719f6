/** `wait`: for a duration or until a date; holds no process. */
import type { StepSpec } from '../../language/steps/step-types.ts'
import type { Draft } from '../decide/draft.ts'
import { scopeOf } from '../decide/scope.ts'
import { fail, succeed } from '../decide/end-step.ts'
import type { Run } from '../decide/run.ts'
import type { TimerEntry } from '../in-flight.ts'

/** PostgreSQL and JavaScript agree on dates up to here; nobody waits longer. */
const LATEST = Date.UTC(9999, 0, 1)

export function beginWait(draft: Draft, run: Run, spec: StepSpec & { type: 'wait' }, attempt: number): void {
  const startedAt = draft.lastEventAt
  let dueAt = draft.world.now + (spec.durationMs ?? 0)
  if (spec.until) {
    const until = spec.until.evaluate(scopeOf(draft, run))
    if (!until.ok) return fail(draft, run, { attempt, startedAt }, 'EXPRESSION_FAILED', until.message)
    dueAt = typeof until.value === 'string' ? Date.parse(until.value) : Number.NaN
    if (!(dueAt <= LATEST))
      return fail(draft, run, { attempt, startedAt }, 'EXPRESSION_FAILED', '`until` is not an RFC 3339 date.')
  }
  const expiresAt = draft.world.now + (run.step.timeoutMs ?? Number.POSITIVE_INFINITY)
  draft.inFlight.push({
    ...{ kind: 'wait', path: run.path, attempt, startedAt, dueAt: Math.max(Math.min(dueAt, expiresAt), draft.world.now) },
    ...(expiresAt < dueAt && { expires: true as const }),
  })
}

export function endWait(draft: Draft, run: Run, entry: TimerEntry): void {
  if (entry.expires) fail(draft, run, entry, 'TIMEOUT', `What it waits for did not come within ${run.step.timeoutMs} ms.`)
  else succeed(draft, run, entry, {})
}
