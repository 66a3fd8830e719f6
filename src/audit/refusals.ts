/** Refusals in the audit log: the first of a minute at once, the rest as one row with their number, so that refusing cannot flood it. */
import { sqlState } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { encodeId, newUuid } from '../ids.ts'
import type { Logger } from '../log.ts'
import type { AuditEntry } from './audit-entry.ts'
import { recordAudit } from './record-audit.ts'

const WINDOW_MS = 60_000
const SWEEP_MS = 5_000
/** Past so many subjects in a minute the others share one count per type: inventing names costs no memory (A2). */
const MAX_SUBJECTS = 10_000
const ROWS_PER_INSERT = 1_000

/** The refusals of one subject and type since the first of them. */
interface Window {
  first: AuditEntry
  startedAt: number
  /** beyond the first, which has its own row */
  more: number
  /** many subjects in one: what the first says about itself does not hold for the rest */
  shared: boolean
}

export interface RefusalOptions {
  database: Pick<Database, 'transaction' | 'clock'>
  log: Logger
  /** told of each refusal, also of those that become no row of their own */
  onRefusal?: (entry: AuditEntry) => void
  maxSubjects?: number
}

/** `metadata.count` of a row says how many refusals it stands for; without it, one. */
export class Refusals {
  readonly #options: RefusalOptions & { maxSubjects: number }
  readonly #windows = new Map<string, Window>()
  /** due to be written; rows stay here while the database does not answer */
  #due: AuditEntry[] = []
  /** one write at a time: what comes meanwhile goes into the next */
  #written: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined

  constructor(options: RefusalOptions) {
    this.#options = { maxSubjects: MAX_SUBJECTS, ...options }
  }

  /**
   * Counts a refusal of `subject` (a principal's id, else an address) and writes it if it is the first of its minute.
   * Never rejects: the answer is a refusal anyway, and what could not be written is tried again.
   */
  async record(subject: string, entry: AuditEntry): Promise<void> {
    this.#options.onRefusal?.(entry)
    const own = `${entry.type} ${subject}`
    const shared = !this.#windows.has(own) && this.#windows.size >= this.#options.maxSubjects
    const key = shared ? entry.type : own
    const now = this.#options.database.clock.now()
    const window = this.#windows.get(key)
    if (window && now - window.startedAt < WINDOW_MS) {
      window.more++
      // the first of them may be on its way: nobody is answered before it is there
      return this.#written
    }
    if (window) this.#end(key, window, now)
    this.#windows.set(key, { first: entry, startedAt: now, more: 0, shared })
    this.#due.push(entry)
    await this.#write()
  }

  /** Ends the minutes that are over, or all of them, and writes their counts. */
  async runOnce({ all = false } = {}): Promise<void> {
    const now = this.#options.database.clock.now()
    for (const [key, window] of this.#windows) {
      if (all || now - window.startedAt >= WINDOW_MS) this.#end(key, window, now)
    }
    await this.#write()
  }

  start(): void {
    this.#timer = setInterval(() => void this.runOnce(), SWEEP_MS).unref()
  }

  /** Writes what is still counted. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.runOnce({ all: true })
  }

  #end(key: string, window: Window, now: number): void {
    this.#windows.delete(key)
    if (window.more > 0) this.#due.push(summary(window, now))
  }

  #write(): Promise<void> {
    this.#written = this.#written.then(() => this.#drain())
    return this.#written
  }

  async #drain(): Promise<void> {
    while (this.#due.length > 0) {
      const rows = this.#due.splice(0, ROWS_PER_INSERT)
      try {
        await this.#options.database.transaction((em) => recordAudit(em, ...rows))
      } catch (error) {
        this.#keep(rows, error)
        return
      }
      for (const { id, type, errorCode, metadata } of rows) {
        this.#options.log.warn(
          { audit: encodeId('auditEvent', id), type, code: errorCode, count: Number(metadata?.['count'] ?? 1) },
          'refused',
        )
      }
    }
  }

  #keep(rows: AuditEntry[], error: unknown): void {
    this.#due = [...rows, ...this.#due]
    const lost = this.#due.splice(this.#options.maxSubjects).length
    // the text of PostgreSQL's errors may hold values
    const why = sqlState(error) ? { sqlState: sqlState(error) } : { err: error }
    this.#options.log.error({ ...why, waiting: this.#due.length, lost }, 'refusals could not be audited')
  }
}

function summary({ first, more, shared }: Window, now: number): AuditEntry {
  const { type, severity, success, errorCode, sign } = first
  const who = shared ? { actorKind: 'ANONYMOUS' as const } : { actorKind: first.actorKind, actorId: first.actorId, ip: first.ip }
  const metadata = { count: more, since: first.at }
  return { id: newUuid(), at: new Date(now).toISOString(), type, severity, success, errorCode, metadata, sign, ...who }
}
