/**
 * Reads the audit log on along its seals, which are made in the order of commits and without gaps, so nothing that is committed late
 * is passed by. A place is a seal, and a piece of its hash tells whether it is still the same log.
 */
import type { AuditFilter } from '../audit/audit-filter.ts'
import type { Checkpoint } from '../audit/checkpoint.ts'
import { BEGINNING, behind, readCheckpoint, readLastSeal, readSeals } from '../audit/read-chain.ts'
import { readLastMatching, readMatching } from '../audit/read-matching.ts'
import type { AuditRow } from '../audit/read-matching.ts'
import type { Seal } from '../audit/seal.ts'
import type { Database } from '../database/database.ts'
import { cursorOf, encodeAuditCursor, NO_HASH, positionIn } from './audit-cursor.ts'
import type { CommonFrame, FeedReason } from './frames.ts'
import type { Page } from './topic.ts'

/** Rows that one read looks at, roughly: seals are read whole. Twice what a seal may hold, so that there is always a next one. */
const ROWS_PER_READ = 2_000
/** What a snapshot shows, and how far it looks back for it. */
const SNAPSHOT_EVENTS = 50
const SNAPSHOT_LOOKS_AT = 10_000

export type AuditFrame =
  | CommonFrame
  | { readonly kind: 'snapshot'; readonly cursor: string; readonly events: readonly AuditRow[] }
  | { readonly kind: 'delta'; readonly cursor: string; readonly events: readonly AuditRow[] }

export interface AuditReader {
  /** Where the sealed log ends now. */
  end(): Promise<string>
  /** `after` undefined: a snapshot. What does not match is passed by: then a page has no frames, and another cursor. */
  read(filter: AuditFilter, after: string | undefined, upTo?: string): Promise<Page<AuditFrame>>
}

/** The last seal; where retention left none, the last that it removed. */
type End = Seal | Checkpoint

export function createAuditReader(database: Database): AuditReader {
  const readEnd = async (): Promise<End | undefined> => (await readLastSeal(database)) ?? readCheckpoint(database)

  async function begin(filter: AuditFilter, end: End | undefined, gap: readonly AuditFrame[] = []): Promise<Page<AuditFrame>> {
    const cursor = cursorOf(end)
    const to = end && 'ids' in end ? behind(end) : BEGINNING
    const events = await readLastMatching(database, filter, { to, limit: SNAPSHOT_EVENTS, within: SNAPSHOT_LOOKS_AT })
    return page([...gap, { kind: 'snapshot', cursor, events }], cursor, false)
  }

  async function goOn(filter: AuditFilter, after: string, end: End | undefined, upTo?: string): Promise<Page<AuditFrame>> {
    const newest = end?.position ?? 0
    const position = positionIn(after)
    const goal = upTo === undefined ? newest : Math.min(newest, positionIn(upTo))
    // with the one that the reader has, to know it again
    const seals = await readSeals(database, Math.max(position - 1, 0), ROWS_PER_READ)
    const had = seals.find((seal) => seal.position === position)
    if (position > newest || (had && cursorOf(had) !== after)) return begin(filter, end, [gapAfter(after, 'RESTORED')])
    const next = seals.filter((seal) => seal.position > position && seal.position <= goal)
    const [first, to] = [next[0], next.at(-1)]
    if (!first || !to) return page([], after, false)
    if (first.position > position + 1) {
      const left = encodeAuditCursor(first.position - 1, NO_HASH)
      return page([gapAfter(after, 'RETENTION'), { kind: 'snapshot', cursor: left, events: [] }], left, true)
    }
    const events = await readMatching(database, filter, { after: had ? behind(had) : BEGINNING, to: behind(to) })
    const cursor = cursorOf(to)
    return page(events.length > 0 ? [{ kind: 'delta', cursor, events }] : [], cursor, to.position < goal)
  }

  return {
    end: async () => cursorOf(await readEnd()),
    async read(filter, after, upTo) {
      const end = await readEnd()
      return after === undefined ? begin(filter, end) : goOn(filter, after, end, upTo)
    },
  }
}

const page = (frames: readonly AuditFrame[], cursor: string, more: boolean): Page<AuditFrame> => ({
  frames,
  cursor,
  more,
  ends: false,
})

/** With the cursor that the reader came with: whoever is cut off behind it gets it again, and the snapshot. */
const gapAfter = (cursor: string, reason: FeedReason): AuditFrame => ({ kind: 'gap', cursor, reason })
