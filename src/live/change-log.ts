/**
 * What changed since a place in the order of commits, for executions and for agent requests. Only what lies below the oldest
 * transaction that still runs is read: sequences, times and ids all pass by what commits late. Write transactions last 5 s at most.
 */
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import { together } from '../database/together.ts'
import { decodeChangeCursor, encodeChangeCursor } from './change-cursor.ts'
import type { FeedReason } from './frames.ts'

/** What changed after a place. */
export interface Changes {
  /** UUIDs, each once */
  readonly ids: readonly string[]
  /** the place after them */
  readonly cursor: string
  /** more was there than is read at once */
  readonly more: boolean
  /** something is committed that cannot be told yet: it will be soon */
  readonly pending: boolean
}

export interface ChangeLog {
  /** The place after all that changed. */
  end(): Promise<string>
  /** What changed after `after` and, if given, not after `upTo`; or why nobody knows. */
  read(after: string, upTo?: string): Promise<Changes | Extract<FeedReason, 'RETENTION' | 'RESTORED'>>
}

/** Commits of one read, and about how many ids: a commit is read whole, and has at most some thousands. */
const COMMITS = 2_000
const MOST_IDS = 10_000

interface Row {
  epoch: string
  /** of the oldest transaction that runs */
  xmin: string
  /** the first that is remembered; null: all are */
  first: string | null
  /** the newest below `xmin` */
  newest: string | null
  /** the newest of those that were read */
  last: string | null
  ids: string[] | null
  more: boolean
  pending: boolean | null
}

/** `$1`: after this xid; `$2`: up to this one, or null. The text of the functions is change-log.sql beside this file. */
const COMMITS_AFTER = prepared(`select * from sluice.commits_after($1::xid8, $2::xid8, ${COMMITS}, ${MOST_IDS})`)
const REQUESTS_AFTER = prepared(`select * from sluice.agent_requests_after($1::xid8, $2::xid8, ${COMMITS})`)

export const executionChanges = (database: Pick<Database, 'query'>): ChangeLog => changeLog(database, COMMITS_AFTER)
export const agentRequestChanges = (database: Pick<Database, 'query'>): ChangeLog => changeLog(database, REQUESTS_AFTER)

const TOGETHER = { atOnce: 4 }
/** Beyond all that is. */
const NOWHERE = String(2n ** 63n - 1n)

function changeLog(database: Pick<Database, 'query'>, text: string): ChangeLog {
  const ask = async (after: string, upTo: string | null): Promise<Row> => (await database.query<Row>(text, [after, upTo]))[0]!
  // all groups at one place, which are nearly all, share a read
  const readRow = together(async (questions: readonly { after: string; upTo: string | null }[]) => {
    const rows = new Map<string, Promise<Row>>()
    return Promise.all(
      questions.map(({ after, upTo }) => {
        const key = `${after} ${upTo}`
        const row = rows.get(key) ?? ask(after, upTo)
        rows.set(key, row)
        return row
      }),
    )
  }, TOGETHER)

  return {
    async end() {
      const { epoch, newest } = await readRow({ after: NOWHERE, upTo: null })
      return encodeChangeCursor({ epoch, xid: newest ?? '0' })
    },
    async read(after, upTo) {
      const place = decodeChangeCursor(after)
      const goal = upTo === undefined ? null : decodeChangeCursor(upTo).xid
      const { epoch, xmin, first, last, ids, more, pending } = await readRow({ after: place.xid, upTo: goal })
      if (place.epoch !== epoch || BigInt(place.xid) >= BigInt(xmin)) return 'RESTORED'
      if (first !== null && BigInt(place.xid) < BigInt(first)) return 'RETENTION'
      const reached = more || goal === null ? (last ?? place.xid) : goal
      return {
        ids: ids ?? [],
        cursor: encodeChangeCursor({ epoch, xid: reached }),
        more,
        pending: pending === true && goal === null,
      }
    },
  }
}
