/** Cursors for whoever has read an execution and wants to follow it from there: they name the database, which is asked once a second at most. */
import type { Database } from '../database/database.ts'
import type { Execution } from '../engine/entities/execution.ts'
import { encodeFeedCursor } from './cursor.ts'

/** Older than what was read, a name is still safe: at worst the feed begins with a gap and a snapshot. */
const KNOWN_MS = 1_000

/** The place after this state of an execution. */
export type FeedCursorOf = (execution: Pick<Execution, 'id' | 'seq'>) => Promise<string>

export function createFeedCursors(database: Pick<Database, 'query'>): FeedCursorOf {
  let known: { epoch: Promise<string>; at: number } | undefined

  async function ask(): Promise<string> {
    const [row] = await database.query<{ epoch: string }>('select sluice.database_epoch() as epoch')
    return row!.epoch
  }

  function epochNow(): Promise<string> {
    if (known && performance.now() - known.at < KNOWN_MS) return known.epoch
    const asked = { epoch: ask(), at: performance.now() }
    asked.epoch.catch(() => {
      if (known === asked) known = undefined
    })
    return (known = asked).epoch
  }

  return async ({ id, seq }) => encodeFeedCursor(id, { seq, epoch: await epochNow() })
}
