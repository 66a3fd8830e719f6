/** The attempts that a snapshot says are running under its epoch, as launches: for a holder that read it again. */
import { isAct } from '../../language/steps/step-types.ts'
import { actInput } from '../steps/act.ts'
import type { Launch, World } from './draft.ts'
import { openDraft } from './open-draft.ts'
import { runAt } from './run.ts'
import type { Snapshot } from './snapshot.ts'

export function relaunches(snapshot: Snapshot, world: World): Launch[] {
  const draft = openDraft(snapshot, world)
  return snapshot.inFlight.flatMap((entry) => {
    if (entry.kind !== 'act' || entry.epoch !== snapshot.epoch) return []
    const run = runAt(snapshot.program, entry.path)
    if (!run || !isAct(run.step.spec)) return []
    const { spec } = run.step
    const input = actInput(draft, run, spec, entry)
    return input.ok ? [{ run, spec, entry, input: input.value, suspect: false }] : []
  })
}
