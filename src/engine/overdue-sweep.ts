/** What stored times and words say, whoever holds the executions: deadlines of all of them, timers and words of pools that nobody serves. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../database/database.ts'
import { encodeId } from '../ids.ts'
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'
import { findAbandoned, findOverdue } from './claim.ts'
import { createFailedTicks } from './failed-ticks.ts'

export interface OverdueSweep {
  /** Deadlines that are over; false: none of them can be fired for now. */
  fire(): Promise<boolean>
  /** What is due in pools that this worker does not serve; now and then. */
  fireElsewhere(): Promise<void>
}

export interface OverdueSweepOptions {
  database: Database
  /** those that this worker serves */
  pools: readonly string[]
  /** decides on an execution again */
  tick(executionId: string): Promise<unknown>
  log: Logger
  /** ms, `performance.now` outside of tests */
  monotonic?: () => number
}

const MOST = 100
/** Between looks at other pools. */
const ROUND_MS = 1000
/** A look is not kept for longer by what cannot be stored for now, or waits for something else. */
const PATIENCE_MS = 1000
/** What is under way for longer; above it, there is no use in more. */
const MOST_UNDER_WAY = 1000

/** What is under way, or failed a moment ago, is passed over: it is told nothing twice, and stands in nobody's way. */
export function createOverdueSweep(options: OverdueSweepOptions): OverdueSweep {
  const { database, pools, tick, log, monotonic = () => performance.now() } = options
  const trouble = createTrouble({ log, message: 'what is due could not be decided on, trying again' })
  const underWay = new Set<string>()
  const failed = createFailedTicks(monotonic)
  let nextRoundAt = 0

  return {
    fire: () => fireAll((except) => findOverdue(database, except, MOST)),
    async fireElsewhere() {
      if (monotonic() < nextRoundAt) return
      nextRoundAt = monotonic() + ROUND_MS
      await fireAll((except) => findAbandoned(database, pools, except, MOST))
    },
  }

  /** True: some were decided on, or there may be others behind these. */
  async function fireAll(find: (except: readonly string[]) => Promise<readonly string[]>): Promise<boolean> {
    if (underWay.size >= MOST_UNDER_WAY) return false
    const ids = await find([...underWay, ...failed.lately()])
    let fired = 0
    // together: a thousand that are canceled at once have the same fence
    const all = Promise.all(ids.map(async (id) => (fired += (await fireOne(id)) ? 1 : 0)))
    const late = new AbortController()
    await Promise.race([all, pause(PATIENCE_MS, undefined, { signal: late.signal }).catch(() => undefined)])
    late.abort()
    return fired > 0 || ids.length >= MOST
  }

  /** Never rejects, so that one that cannot be decided on stops no other. */
  async function fireOne(id: string): Promise<boolean> {
    underWay.add(id)
    try {
      await tick(id)
      failed.delete(id)
      trouble.worked()
      return true
    } catch (error) {
      failed.add(id)
      trouble.failed(error, { executionId: encodeId('execution', id) })
      return false
    } finally {
      underWay.delete(id)
    }
  }
}
