/** What stored times and words say, whoever holds the executions: deadlines of all of them, timers and words of pools that nobody serves. */
import type { Database } from '../database/database.ts'
import { findAbandoned, findOverdue } from './claim.ts'

export interface OverdueSweep {
  /** Deadlines that are over. */
  fire(): Promise<void>
  /** What is due in pools that this worker does not serve; now and then. */
  fireElsewhere(): Promise<void>
}

const MOST = 100
/** Between looks at other pools. */
const ROUND_MS = 1000

/** `tick`: decides on an execution again; never rejects, so that one that cannot be decided on stops no other. */
export function createOverdueSweep(
  database: Database,
  pools: readonly string[],
  tick: (executionId: string) => Promise<unknown>,
): OverdueSweep {
  let nextRoundAt = 0

  return {
    async fire() {
      // together: a thousand that are canceled at once have the same fence
      await Promise.all((await findOverdue(database, MOST)).map(tick))
    },
    async fireElsewhere() {
      if (performance.now() < nextRoundAt) return
      nextRoundAt = performance.now() + ROUND_MS
      await Promise.all((await findAbandoned(database, pools, MOST)).map(tick))
    },
  }
}
