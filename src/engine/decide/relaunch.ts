/** The attempts that a snapshot says are running under its epoch, as launches: for a holder that read it again. */
import { handlerInput } from '../steps/handler.ts'
import type { Launch, World } from './draft.ts'
import { openDraft } from './draft.ts'
import type { Snapshot } from './snapshot.ts'

export function relaunches(snapshot: Snapshot, world: World): Launch[] {
  const draft = openDraft(snapshot, world)
  return snapshot.inFlight.flatMap((entry) => {
    const step = snapshot.program.step(entry.path)
    if (entry.kind !== 'act' || entry.epoch !== snapshot.epoch || step?.spec.type !== 'handler') return []
    const input = handlerInput(draft, step.spec)
    return input.ok ? [{ step, entry, input: input.value, suspect: false }] : []
  })
}
