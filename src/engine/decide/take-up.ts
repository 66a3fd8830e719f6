/** What a new holder does with the attempts it finds in flight: launch, launch again, isolate, or give up on them. */
import type { ActSpec } from '../../language/steps/step-types.ts'
import { isAct, runsOnce } from '../../language/steps/step-types.ts'
import { launch } from '../steps/act.ts'
import type { ActEntry, AttemptEntry } from '../in-flight.ts'
import type { Draft } from './draft.ts'
import { emitOf, isStopping, replaceInFlight } from './draft.ts'
import { fail } from './end-step.ts'
import { cancelStep } from './record-step.ts'
import { runAt } from './run.ts'
import type { Run } from './run.ts'

/** A path that took its worker down this often while it ran alone there is the cause. */
const POISON_CRASHES = 3

/** All attempts in flight, or the one suspect whose turn alone has come. */
export function takeUp(draft: Draft, isolated?: ActEntry): void {
  const { epoch } = draft
  for (const entry of [...draft.inFlight]) {
    if (!draft.inFlight.includes(entry)) continue
    if (entry.kind !== 'act' || (isolated && entry !== isolated) || entry.epoch === epoch) continue
    const run = runAt(draft.from.program, entry.path)
    if (!run || !isAct(run.step.spec)) continue
    const { spec } = run.step
    const found = mayGoOn(draft, run, spec, entry, { epoch, alone: isolated !== undefined })
    if (found) launch(draft, run, spec, found)
  }
}

/** What is in flight now belongs to the claim `epoch`: as it goes on, or undefined when it has ended here. */
export function mayGoOn<Entry extends AttemptEntry>(
  draft: Draft,
  run: Run,
  spec: ActSpec,
  entry: Entry,
  claim: { epoch: number; alone: boolean },
): Entry | undefined {
  if (entry.epoch !== 0 && runsOnce(spec)) {
    fail(draft, run, entry, 'OUTCOME_UNKNOWN', 'The worker was lost while the step ran, and it may run at most once.')
    return undefined
  }
  const found = claim.alone ? { ...entry, alone: true } : countCrash(entry, spec, claim.epoch)
  if ((found.aloneCrashes ?? 0) >= POISON_CRASHES) {
    fail(draft, run, found, 'POISONED', `It crashed its worker ${found.aloneCrashes} times while it ran alone.`)
  } else if (isStopping(draft)) {
    cancelStep(draft, run, { ...found, epoch: 0 })
  } else {
    replaceInFlight(draft, found)
    if (entry.epoch !== 0) emitOf(draft, run, 'step.restarted', { attempt: entry.attempt })
    return found
  }
  return undefined
}

/**
 * Only the holder just before counts: a claim that crashed before it launched anything left the epochs as they were.
 * An attempt that nobody launched (epoch 0) did not crash anything.
 */
function countCrash<Entry extends AttemptEntry>(entry: Entry, spec: ActSpec, epoch: number): Entry {
  if (entry.epoch === 0) return entry
  // only code of others takes a worker down: calls, queries and the engine's own work are bounded by it
  if (spec.type !== 'handler') return { ...entry, epoch: 0 }
  const counts = entry.epoch === epoch - 1
  return {
    ...entry,
    epoch: 0,
    crashes: (entry.crashes ?? 0) + (counts ? 1 : 0),
    alone: false,
    aloneCrashes: (entry.aloneCrashes ?? 0) + (counts && entry.alone ? 1 : 0),
  }
}
