/** `loop`: the step inside again and again, until its condition holds. Only the last output is part of the state. */
import { shareWork } from '../../language/budget.ts'
import type { LoopSpec } from '../../language/steps/loop.ts'
import type { Draft } from '../decide/draft.ts'
import { removeInFlight, replaceInFlight } from '../decide/draft.ts'
import { lastOf, scopeOf } from '../decide/scope.ts'
import { fail, succeed } from '../decide/end-step.ts'
import { leave } from '../decide/nested.ts'
import { runInside } from '../decide/run.ts'
import type { Run } from '../decide/run.ts'
import type { LoopEntry } from '../in-flight.ts'
import { dueAfter } from './map.ts'
import type { Go } from './map.ts'

export function beginLoop(draft: Draft, run: Run, attempt: number): void {
  const startedAt = draft.lastEventAt
  draft.inFlight.push({
    ...{ kind: 'loop', path: run.path, attempt, startedAt, ...dueAfter(draft, run) },
    ...{ iteration: 0, ended: true },
  })
}

/** As far as it can go now; true: something changed. */
export function advanceLoop(draft: Draft, run: Run, spec: LoopSpec, entry: LoopEntry, go: Go): boolean {
  let goOn = true
  for (let now: LoopEntry | undefined = entry; now?.ended && goOn; now = current(draft, run)) {
    goOn = afterIteration(draft, run, spec, now, go)
  }
  return entry.ended
}

/** The next one, now or after the delay, or the end of the loop; false: this transition has done enough. */
function afterIteration(draft: Draft, run: Run, spec: LoopSpec, entry: LoopEntry, go: Go): boolean {
  const { iteration, error } = entry
  if (error) {
    fail(draft, run, entry, error.code, error.message, { retryable: false })
    return true
  }
  const verdict = iteration === 0 ? 'again' : shareWork(() => judge(draft, run, spec, iteration))
  if (typeof verdict === 'object') fail(draft, run, entry, verdict.code, verdict.message, { retryable: false })
  else if (verdict === 'done') end(draft, run, entry)
  else {
    const next = runInside(run, iteration + 1)!
    replaceInFlight(draft, { ...entry, iteration: iteration + 1, ended: false })
    if (iteration === 0 || spec.delayMs === 0) return go(next)
    const { now } = draft.world
    draft.inFlight.push({ kind: 'backoff', path: next.path, attempt: 1, startedAt: now, dueAt: now + spec.delayMs })
  }
  return true
}

function judge(draft: Draft, run: Run, spec: LoopSpec, iteration: number): 'again' | 'done' | { code: string; message: string } {
  if (spec.until) {
    // it sees the output that was just made as the last one
    const done = spec.until.evaluate({ ...scopeOf(draft, runInside(run, iteration + 1)), iteration: BigInt(iteration) })
    if (!done.ok) return { code: 'EXPRESSION_FAILED', message: `until: ${done.message}` }
    if (done.value) return 'done'
  }
  if (iteration < spec.times) return 'again'
  if (!spec.until) return 'done'
  return { code: 'LOOP_EXHAUSTED', message: `It was not done after ${spec.times} times.` }
}

function end(draft: Draft, run: Run, entry: LoopEntry): void {
  const output = lastOf(draft, entry)
  const { bytes } = entry
  leave(draft, entry)
  removeInFlight(draft, run.path)
  succeed(draft, run, entry, output, bytes === undefined ? {} : { bytes })
}

function current(draft: Draft, run: Run): LoopEntry | undefined {
  const entry = draft.inFlight.find(({ path }) => path === run.path)
  return entry?.kind === 'loop' ? entry : undefined
}
