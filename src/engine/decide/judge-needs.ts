/** Whether a step may run, is left out, or has to wait: what its needs and the ends of other steps say. Pure. */
import type { Needs, Program } from '../../language/program.ts'
import type { StepRecord } from './snapshot.ts'

export type Verdict = 'run' | 'wait' | { skip: string }

/** Steps that have ended, by name. */
type Ended = ReadonlyMap<string, StepRecord>

/**
 * A join on all is skipped when any of its steps did not succeed; a join on some when too few can succeed any more. A step that failed
 * and lets the execution go on counts as one that succeeded. Where failures lead is skipped when none came.
 */
export function judgeNeeds(program: Program, steps: Ended, needs: Needs): Verdict {
  let waiting = false
  for (const { router, route } of needs.routes) {
    const ended = steps.get(router)
    if (!ended) waiting = true
    else if (ended.route !== route) return { skip: `${router} did not take ${route}` }
  }
  if (needs.failures) {
    const ends = needs.failures.map((name) => steps.get(name))
    if (ends.every((ended) => ended && ended.status !== 'FAILED')) return { skip: `${needs.failures.join(', ')} did not fail` }
    if (!ends.some((ended) => ended?.status === 'FAILED')) waiting = true
  }
  let succeeded = 0
  let open = 0
  for (const name of needs.of) {
    const ended = steps.get(name)
    if (!ended) open++
    else if (ended.status === 'SUCCEEDED' || (ended.status === 'FAILED' && program.step(name)?.onError === 'continue'))
      succeeded++
    else if (needs.mode === 'all') return { skip: `${name} did not succeed` }
  }
  if (succeeded + open < needs.count) return { skip: 'too few of the steps it waits for succeeded' }
  return waiting || succeeded < needs.count ? 'wait' : 'run'
}
