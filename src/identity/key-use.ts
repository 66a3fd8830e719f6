/** When keys were last used: remembered here, and written for all of them together, each at most once a minute. */
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'

const WRITE_EVERY_MS = 5_000
const ONCE_IN_MS = 60_000
/** A process that serves more keys in a minute than this writes some of them sooner. */
const MAX_KEYS = 100_000

export interface KeyUse {
  /** Now. Costs a look into a map. */
  note(keyId: string): void
  /** Writes what is due; for tests, and what the timer does. Never rejects. */
  runOnce(): Promise<void>
  start(): void
  stop(): Promise<void>
}

export interface KeyUseOptions {
  readonly database: Pick<Database, 'query' | 'clock'>
  readonly log: Logger
}

export function createKeyUse({ database, log }: KeyUseOptions): KeyUse {
  /** uses that are not written yet, ms since 1970 */
  let due = new Map<string, number>()
  /** those that were written less than a minute ago, the oldest first */
  const written = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined

  async function runOnce(): Promise<void> {
    const now = database.clock.now()
    for (const [id, at] of written) {
      if (now - at < ONCE_IN_MS && written.size <= MAX_KEYS) break
      written.delete(id)
    }
    if (due.size === 0) return
    const uses = due
    due = new Map()
    for (const id of uses.keys()) written.set(id, now)
    const at = [...uses.values()].map((ms) => new Date(ms))
    await database.query(WRITE, [[...uses.keys()], at]).catch((error: unknown) => {
      for (const [id, ms] of uses) due.set(id, Math.max(ms, due.get(id) ?? 0))
      log.warn({ err: error }, 'uses of keys could not be written')
    })
  }

  return {
    note(keyId) {
      const now = database.clock.now()
      const writtenAt = written.get(keyId)
      if (writtenAt === undefined || now - writtenAt >= ONCE_IN_MS) due.set(keyId, now)
    },
    runOnce,
    start() {
      timer = setInterval(() => void runOnce(), WRITE_EVERY_MS).unref()
    },
    async stop() {
      clearInterval(timer)
      await runOnce()
    },
  }
}

const WRITE = `
update sluice.api_keys k set last_used_at = u.at
from unnest($1::uuid[], $2::timestamptz[]) as u (id, at)
where k.id = u.id and (k.last_used_at is null or k.last_used_at < u.at)`
