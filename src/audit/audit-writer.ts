/** Writes the audit rows of many requests together: one insert at a time, and what comes meanwhile goes into the next. */
import type { Database } from '../database/database.ts'
import type { AuditEntry } from './audit-entry.ts'
import { recordAudit } from './record-audit.ts'

const ROWS_PER_INSERT = 1_000

/** Resolves when the row is stored; rejects when it could not be. */
export type WriteAudit = (entry: AuditEntry) => Promise<void>

interface Waiting {
  readonly entry: AuditEntry
  readonly written: PromiseWithResolvers<void>
}

export function createAuditWriter(database: Pick<Database, 'fork'>): WriteAudit {
  /** each is somebody's request that is under way: there are never more than these */
  const waiting: Waiting[] = []
  let writing = false

  async function drain(): Promise<void> {
    writing = true
    while (waiting.length > 0) {
      const batch = waiting.splice(0, ROWS_PER_INSERT)
      // one statement is a transaction by itself
      await recordAudit(database.fork(), ...batch.map(({ entry }) => entry)).then(
        () => batch.forEach(({ written }) => written.resolve()),
        (error: unknown) => batch.forEach(({ written }) => written.reject(error)),
      )
    }
    writing = false
  }

  return (entry) => {
    const written = Promise.withResolvers<void>()
    waiting.push({ entry, written })
    if (!writing) void drain()
    return written.promise
  }
}
