/** A background loop: runs once at a time, again after a while, sooner when woken. All loops are of this kind. */
import type { Logger } from './log.ts'
import { detached } from './tracing.ts'
import { createTrouble } from './trouble.ts'

export interface Loop {
  start(): void
  /** Runs soon; while a run is under way, once more after it. */
  wake(): void
  /** Resolves when the run under way, if any, is over; none follows. */
  stop(): Promise<void>
}

export interface LoopOptions {
  name: string
  log: Logger
  /** How many ms until the next run, unless woken. */
  runOnce(): Promise<number>
  /** the pause after a run that threw, default 1,000 */
  retryMs?: number
}

export function createLoop({ name, log, runOnce, retryMs = 1000 }: LoopOptions): Loop {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let woken = false
  let started = false
  const trouble = createTrouble({ log, level: 'error', message: `${name} failed, trying again`, over: `${name} works again` })

  async function run(): Promise<void> {
    let pause = 0
    do {
      woken = false
      try {
        pause = await runOnce()
        trouble.worked()
      } catch (error) {
        if (started) trouble.failed(error)
        pause = retryMs
        woken = false
      }
    } while (started && woken)
    running = undefined
    if (started) timer = setTimeout(begin, Math.max(0, Math.min(pause, 2 ** 31 - 1)))
  }

  function begin(): void {
    clearTimeout(timer)
    running ??= detached(run)
  }

  return {
    start() {
      started = true
      begin()
    },
    wake() {
      woken = true
      if (started) begin()
    },
    async stop() {
      started = false
      clearTimeout(timer)
      await running
    },
  }
}
