/** What a new holder does with the attempts it finds in flight: launch, launch again, isolate, or give up on them. */
import type { ActSpec } from '../../language/steps/step-types.ts'
import { isAct, runsOnce } from '../../language/steps/step-types.ts'
import { launch } from '../steps/act.ts'
import type { ActEntry } from '../in-flight.ts'
import type { Draft } from './draft.ts'
import { emitOf, isStopping, replaceInFlight } from './draft.ts'
import { fail } from './end-step.ts'
import { cancelStep } from './record-step.ts'
import { runAt } from './run.ts'

/** A path that took its worker down this often while it ran alone there is the cause. */
const POISON_CRASHES = 3

/** All attempts in flight, or the one suspect whose turn alone has come. */
export function takeUp(draft: Draft, isolated?: ActEntry): void {
  for (const entry of [...draft.inFlight]) {
    if (!draft.inFlight.includes(entry)) continue
    if (entry.kind !== 'act' || (isolated && entry !== isolated) || entry.epoch === draft.epoch) continue
    const run = runAt(draft.from.program, entry.path)
    if (!run || !isAct(run.step.spec)) continue
    const { spec } = run.step
    if (entry.epoch !== 0 && runsOnce(spec)) {
      fail(draft, run, entry, 'OUTCOME_UNKNOWN', 'The worker was lost while the step ran, and it may run at most once.')
      continue
    }
    const found = isolated ? { ...entry, alone: true } : countCrash(draft, entry, spec)
    if ((found.aloneCrashes ?? 0) >= POISON_CRASHES) {
      fail(draft, run, found, 'POISONED', `It crashed its worker ${found.aloneCrashes} times while it ran alone.`)
    } else if (isStopping(draft)) {
      cancelStep(draft, run, { ...found, epoch: 0 })
    } else {
      replaceInFlight(draft, found)
      if (entry.epoch !== 0) emitOf(draft, run, 'step.restarted', { attempt: entry.attempt })
      launch(draft, run, spec, found)
    }
  }
}

/**
 * Only the holder just before counts: a claim that crashed before it launched anything left the epochs as they were.
 * An attempt that nobody launched (epoch 0) did not crash anything.
 */
function countCrash(draft: Draft, entry: ActEntry, spec: ActSpec): ActEntry {
  if (entry.epoch === 0) return entry
  // the engine's own work crashes nobody
  if (spec.type === 'map' || spec.type === 'flow') return { ...entry, epoch: 0 }
  const counts = entry.epoch === draft.epoch - 1
  return {
    ...entry,
    epoch: 0,
    crashes: (entry.crashes ?? 0) + (counts ? 1 : 0),
    alone: false,
    aloneCrashes: (entry.aloneCrashes ?? 0) + (counts && entry.alone ? 1 : 0),
  }
}
