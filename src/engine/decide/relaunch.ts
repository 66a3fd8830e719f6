/** The attempts that a snapshot says are running under its epoch, as launches: for a holder that read it again. */
import { handlerInput } from '../steps/handler.ts'
import type { Launch, World } from './draft.ts'
import { openDraft } from './draft.ts'
import { runAt } from './run.ts'
import type { Snapshot } from './snapshot.ts'

export function relaunches(snapshot: Snapshot, world: World): Launch[] {
  const draft = openDraft(snapshot, world)
  return snapshot.inFlight.flatMap((entry) => {
    if (entry.kind !== 'act' || entry.epoch !== snapshot.epoch) return []
    const run = runAt(snapshot.program, entry.path)
    if (run?.step.spec.type !== 'handler') return []
    const input = handlerInput(draft, run, run.step.spec)
    return input.ok ? [{ run, entry, input: input.value, suspect: false }] : []
  })
}
