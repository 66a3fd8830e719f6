/** Acts of the engine itself, which read or write its own tables: tried until the database answers. */
import { passes } from '../../database/when-reachable.ts'
import type { StepErrorCode } from '../../errors.ts'
import { storableText } from '../../storable-text.ts'
import type { Trouble } from '../../trouble.ts'
import type { ActFailure, ActOutcome, RunningAct } from './act-runner.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000
/** Some minutes: what fails longer than that, while the database is there, fails for a reason of its own. */
const MOST_TRIES = 100

/** `act` may run several times, until it does not throw. */
export function runOwnAct(trouble: Trouble, act: () => Promise<ActOutcome>): RunningAct {
  let stopped: string | undefined
  const run = async (): Promise<ActOutcome> => {
    let tries = 0
    let pause = 0
    for (;;) {
      try {
        if (stopped !== undefined) return refused('CANCELED', stopped)
        const outcome = await act()
        trouble.worked()
        return outcome
      } catch (error) {
        trouble.failed(error)
        if (!passes(error) && ++tries === MOST_TRIES) return refused('STEP_FAILED', 'The engine could not do it.')
        pause = Math.min(pause + FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    }
  }
  return { outcome: run(), abort: (reason) => (stopped ??= reason) }
}

export const refused = (code: StepErrorCode, message: string, more: Partial<ActFailure> = {}): ActFailure => ({
  ...{ ok: false, code, message: storableText(message, 2000) },
  ...more,
})
