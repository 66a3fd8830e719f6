/** Forgets which commit changed what when nobody needs it any more; the text of the function is trim-commit-log.sql beside it. */
import type { Database } from '../database/database.ts'

const BATCH = 5_000

/** How many rows went. */
export async function trimCommitLog(database: Pick<Database, 'query'>): Promise<number> {
  let removed = 0
  for (;;) {
    const [row] = await database.query<{ gone: number }>('select sluice.trim_commit_log($1) as gone', [BATCH])
    removed += row!.gone
    // one of them stays
    if (row!.gone < BATCH - 1) return removed
  }
}
