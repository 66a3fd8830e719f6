/** Acts: steps that a worker runs after the commit that wrote them down (code, calls, queries), whose outcome comes back as an input. */
import type { ActSpec } from '../../language/steps/step-types.ts'
import type { Evaluated, Json } from '../../language/values.ts'
import { givenTo } from '../../language/steps/step-types.ts'
import type { Draft } from '../decide/draft.ts'
import { isDraining, replaceInFlight } from '../decide/draft.ts'
import { evaluate } from '../decide/scope.ts'
import { storable } from '../decide/end-step.ts'
import type { Run } from '../decide/run.ts'
import { isSuspect } from '../in-flight.ts'
import type { ActEntry, AttemptEntry } from '../in-flight.ts'

export function beginAct(draft: Draft, run: Run, spec: ActSpec, attempt: number): void {
  const entry: ActEntry = { kind: 'act', path: run.path, attempt, startedAt: draft.lastEventAt, epoch: 0 }
  draft.inFlight.push(entry)
  launch(draft, run, spec, entry)
}

/**
 * If this worker holds the execution, the attempt gets its epoch and is launched after the commit; else it stays at
 * epoch 0 for whoever claims next, as it does while this worker drains. A suspect stays at 0 too until the lane has room for it alone.
 */
export function launch(draft: Draft, run: Run, spec: ActSpec, entry: ActEntry): void {
  if (draft.owner === null || isDraining(draft)) return
  const suspect = isSuspect(entry)
  const stamped = suspect ? entry : { ...entry, epoch: draft.epoch }
  replaceInFlight(draft, stamped)
  // whoever decides judges it: the holder, who launches what others begin, takes for granted that it has an input
  const input = storable(draft, run, entry, actInput(draft, run, spec, entry), 'with')
  if (input !== undefined && draft.owner === draft.world.worker)
    draft.launches.push({ run, spec, entry: stamped, input, suspect })
}

/** What the act gets, evaluated. */
export function actInput(draft: Draft, run: Run, spec: ActSpec, entry: AttemptEntry): Evaluated<Json> {
  if ('counts' in entry && entry.counts) return { ok: true, value: { ...entry.counts } }
  return evaluate(givenTo(spec)!, draft, run)
}
