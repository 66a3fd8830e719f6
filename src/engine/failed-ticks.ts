/** The executions whose ticks failed lately: each is left alone for a while, and for longer each time. */

export interface FailedTicks {
  add(executionId: string): void
  delete(executionId: string): void
  /** Those that are to be left alone now. */
  lately(): string[]
}

/** As long as a worker leaves what only a newer release can read. */
const FIRST_MS = 2_000
const LONGEST_MS = 60_000
/** Their ids go along with each look for others. */
const MOST = 10_000

export function createFailedTicks(monotonic: () => number): FailedTicks {
  // in order of their last failure
  const failed = new Map<string, { pauseMs: number; until: number }>()

  return {
    add(id) {
      const pauseMs = Math.min((failed.get(id)?.pauseMs ?? FIRST_MS / 2) * 2, LONGEST_MS)
      failed.delete(id)
      if (failed.size >= MOST) failed.delete(failed.keys().next().value!)
      failed.set(id, { pauseMs, until: monotonic() + pauseMs })
    },
    delete(id) {
      failed.delete(id)
    },
    lately() {
      const now = monotonic()
      const ids: string[] = []
      for (const [id, { until }] of failed) {
        if (now < until) ids.push(id)
        // not found again: others have done it
        else if (now - until > LONGEST_MS) failed.delete(id)
      }
      return ids
    },
  }
}
