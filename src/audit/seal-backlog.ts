/** Whether sealing the audit log stands still: what is not sealed yet can be removed without a trace, so nobody may stop it in silence. */
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'

/** Rows are sealed within a second; long transactions of the server's own end before this. */
const STILL_MS = 30_000

export interface SealBacklog {
  /** `oldest`: the id of the first row that is not sealed; undefined: there is none. */
  look(oldest: string | undefined): void
  /** Nothing was sealed, and why. */
  blocked(why: string): void
  /** for how long the first row that is not sealed has been seen to wait; 0: there is none */
  readonly waitsMs: number
}

/** Measured by what this process sees, not by when rows say that they were written. */
export function createSealBacklog(log: Logger, monotonic = (): number => performance.now()): SealBacklog {
  const trouble = createTrouble({
    log,
    level: 'error',
    message: 'the audit log is not sealed: what waits could be removed without a trace',
    over: 'the audit log is sealed again',
    monotonic,
  })
  let first: { id: string; since: number } | undefined
  const waitsMs = (): number => (first ? monotonic() - first.since : 0)
  return {
    look(oldest) {
      if (oldest === first?.id) return
      first = oldest === undefined ? undefined : { id: oldest, since: monotonic() }
      trouble.worked()
    },
    blocked(why) {
      const waited = waitsMs()
      if (waited > STILL_MS) trouble.failed(new Error(why), { waitedMs: Math.round(waited) })
    },
    get waitsMs() {
      return waitsMs()
    },
  }
}
