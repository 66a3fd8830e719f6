/** What there is to claim and to fire for a worker, and when it is to look next; the text of the functions is find-work.sql beside it. */
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'

const FIND_TEXT = prepared('select claimable, overdue, steps_wait, is_first, next_at from sluice.find_work($1, $2::text[], $3)')

export interface Work {
  /** an execution that it may claim: due, told something, of a worker that is gone, or ready, if that was asked */
  claimable: boolean
  /** a deadline is over, of whatever pool */
  overdue: boolean
  /** steps wait for these pools */
  stepsWait: boolean
  /** in this second it is the one that looks at what one is enough for */
  isFirst: boolean
  /** ms since 1970, when something is due that is its turn; null: nothing within the next second */
  nextAt: number | null
}

export async function findWork(
  database: Pick<Database, 'query'>,
  { worker, pools, ready }: { worker: string; pools: readonly string[]; ready: boolean },
): Promise<Work> {
  const [row] = await database.query<{
    claimable: boolean
    overdue: boolean
    steps_wait: boolean
    is_first: boolean | null
    next_at: Date | null
  }>(FIND_TEXT, [worker, pools, ready])
  const { claimable, overdue, steps_wait, is_first, next_at } = row!
  return { claimable, overdue, stepsWait: steps_wait, isFirst: is_first === true, nextAt: next_at?.getTime() ?? null }
}
