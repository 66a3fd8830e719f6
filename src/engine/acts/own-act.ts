/** Acts of the engine itself, which read or write its own tables: tried until the database answers. */
import type { StepErrorCode } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { ActFailure, ActOutcome, RunningAct } from './act-runner.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2_000
/** Some minutes: what fails longer than that fails for a reason of its own. */
const MOST_TRIES = 100

/** `act` may run several times, until it does not throw. */
export function runOwnAct(log: Logger, act: () => Promise<ActOutcome>): RunningAct {
  let stopped: string | undefined
  const run = async (): Promise<ActOutcome> => {
    for (let tries = 1; ; tries++) {
      try {
        if (stopped !== undefined) return refused('CANCELED', stopped)
        return await act()
      } catch (error) {
        log.warn({ err: error }, 'an act of the engine failed, trying again')
        if (tries === MOST_TRIES) return refused('STEP_FAILED', 'The engine could not do it.')
        await new Promise((resolve) => setTimeout(resolve, Math.min(FIRST_PAUSE_MS * tries, LONGEST_PAUSE_MS)))
      }
    }
  }
  return { outcome: run(), abort: (reason) => (stopped ??= reason) }
}

export const refused = (code: StepErrorCode, message: string, more: Partial<ActFailure> = {}): ActFailure => ({
  ...{ ok: false, code, message: message.slice(0, 2000) },
  ...more,
})
