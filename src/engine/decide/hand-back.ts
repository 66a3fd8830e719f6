/** How a worker lets go of an execution that has not ended: by itself when nothing runs there, or because its time to drain is over. */
import { isAct, runsOnce } from '../../language/steps/step-types.ts'
import { isDraining } from './draft.ts'
import type { Draft } from './draft.ts'
import type { InputResult } from './input.ts'
import { runAt } from './run.ts'

/** Launched under this claim, and not ended as far as is known. */
const runsHere = ({ inFlight, epoch }: Draft): boolean => inFlight.some((entry) => entry.kind === 'act' && entry.epoch === epoch)

/** A worker that drains keeps no execution of which nothing runs there. */
export function letGo(draft: Draft): void {
  if (isDraining(draft) && !runsHere(draft)) draft.owner = null
}

/** Lets go of it whatever runs here; what another worker holds by now is not ours to give. */
export function handBack(draft: Draft): InputResult {
  if (draft.owner === null || draft.owner !== draft.world.worker) return 'late'
  draft.inFlight = draft.inFlight.map((entry) => {
    if (entry.kind !== 'act' || entry.epoch === 0) return entry
    draft.aborts.push({ path: entry.path, attempt: entry.attempt })
    const spec = runAt(draft.from.program, entry.path)?.step.spec
    // an attempt that may run at most once keeps its epoch: whoever claims next finds its outcome unknown
    return spec && isAct(spec) && runsOnce(spec) ? entry : { ...entry, epoch: 0, alone: false }
  })
  draft.owner = null
  return 'applied'
}
