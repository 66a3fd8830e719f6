/** What stored times and words say, whoever holds the executions: deadlines of all of them, timers and words of pools that nobody serves. */
import type { Database } from '../database/database.ts'
import { findAbandoned, findOverdue } from './claim.ts'

const MOST = 100
/** Between looks at other pools. */
const ROUND_MS = 1000

/** `tick`: decides on an execution again; never rejects, so that one that cannot be decided on stops no other. */
export function createOverdueSweep(
  database: Database,
  pools: readonly string[],
  tick: (executionId: string) => Promise<unknown>,
): () => Promise<void> {
  let nextRoundAt = 0

  async function abandoned(): Promise<string[]> {
    if (performance.now() < nextRoundAt) return []
    nextRoundAt = performance.now() + ROUND_MS
    return findAbandoned(database, pools, MOST)
  }

  return async () => {
    // together: a thousand that are canceled at once have the same fence
    await Promise.all((await findOverdue(database, MOST)).map(tick))
    await Promise.all((await abandoned()).map(tick))
  }
}
