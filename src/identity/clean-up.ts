/** Removes what is over: sessions with their tokens, and resets of passwords; in small batches, so that nobody waits for it. */
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'

const EVERY_MS = 60_000
const BATCH = 500

export interface CleanUp {
  /** Removes everything that is over. Never rejects. */
  runOnce(): Promise<void>
  start(): void
  stop(): Promise<void>
}

/** `isMine`: asked before each round; false: another process does it. */
export function createCleanUp(
  database: Pick<Database, 'query'>,
  log: Logger,
  isMine: () => Promise<boolean> = async () => true,
): CleanUp {
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  async function run(): Promise<void> {
    try {
      for (const statement of (await isMine()) ? STATEMENTS : []) {
        while ((await database.query(statement)).length === BATCH);
      }
    } catch (error) {
      log.warn({ err: error }, 'what is over could not be removed')
    }
    running = undefined
  }
  const runOnce = (): Promise<void> => (running ??= run())

  return {
    runOnce,
    start: () => void (timer = setInterval(() => void runOnce(), EVERY_MS).unref()),
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}

/** A session that is over stays for a day: a reuse of its tokens is still told from nonsense. */
const STATEMENTS = [
  `delete from sluice.sessions where id in (
    select id from sluice.sessions where least(expires_at, revoked_at) < now() - interval '1 day' limit ${BATCH}) returning id`,
  `delete from sluice.password_resets where hash in (
    select hash from sluice.password_resets where expires_at < now() limit ${BATCH}) returning user_id`,
]
