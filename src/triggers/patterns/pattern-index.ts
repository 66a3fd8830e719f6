/** The patterns of the installation in this process: read at its start, and kept as they are published by whomever. */
import type { Database } from '../../database/database.ts'
import { createLoop } from '../../loop.ts'
import type { Logger } from '../../log.ts'
import { createPattern, createPatternSet } from './pattern-set.ts'
import type { Pattern, PatternRow, PatternSet } from './pattern-set.ts'

export interface PatternIndex {
  /** Those that may match, as far as this process knows: whoever uses one asks the database whether it is still so. */
  candidates(text: string): Promise<Pattern[]>
  /** Something was published: the next look reads it first. */
  changed(): void
  start(): void
  stop(): Promise<void>
}

/** What no ring told of is read after so long. */
const POLL_MS = 5_000
/** Twice as long as a transaction may last: what it wrote before a poll is seen by it or by one within this time. */
const OVERLAP_MS = 10_000

interface ChangedRow extends PatternRow {
  changedAt: Date
  removed: boolean
}

export function createPatternIndex(database: Pick<Database, 'query'>, log: Logger): PatternIndex {
  const patterns = new Map<string, Pattern>()
  /** of what each of them was when it was read */
  const readAs = new Map<string, number>()
  let set: PatternSet | undefined
  let newest = 0
  /** counts what was told of; and how much of it was read */
  let told = 1
  let known = 0
  let reading: Promise<void> | undefined

  /** Changes that come while it reads are read by the next one. */
  function read(): Promise<void> {
    reading ??= readChanges().finally(() => (reading = undefined))
    return reading
  }

  async function readChanges(): Promise<void> {
    const upTo = told
    const rows = await database.query<ChangedRow>(CHANGED, [new Date(Math.max(0, newest - OVERLAP_MS))])
    known = upTo
    for (const { changedAt, removed, ...row } of rows) {
      const at = changedAt.getTime()
      newest = Math.max(newest, at)
      if (readAs.get(row.id) === at) continue
      set = undefined
      if (removed) {
        patterns.delete(row.id)
        readAs.delete(row.id)
      } else {
        patterns.set(row.id, createPattern(row))
        readAs.set(row.id, at)
      }
    }
  }

  const loop = createLoop({
    name: 'patterns',
    log,
    async runOnce() {
      await read()
      return POLL_MS
    },
  })

  return {
    async candidates(text) {
      while (known < told) await read()
      set ??= createPatternSet([...patterns.values()])
      return set.candidates(text)
    },
    changed() {
      told++
    },
    start: () => loop.start(),
    stop: () => loop.stop(),
  }
}

// At first all there are, then what changed; of those that were removed only what may have been read.
const CHANGED = `
  select id, flow_id as "flowId", definition, changed_at as "changedAt", removed_at is not null as removed
  from sluice.triggers
  where type = 'pattern' and changed_at >= $1 and (removed_at is null or $1 > 'epoch')
  order by changed_at`
