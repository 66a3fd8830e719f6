/** Several processes in production need a Redis (E5). That they are several, the database knows. */
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'

/** One that has no Redis says so when it finds workers beside itself; one that is being replaced is such a one for a moment. */
export async function tellOfOtherWorkers(database: Pick<Database, 'query'>, workerId: string, log: Logger): Promise<void> {
  const [others] = await database.query<{ count: number }>(
    'select count(*)::int as count from sluice.workers where id <> $1 and expires_at > clock_timestamp()',
    [workerId],
  )
  if (!others?.count) return
  log.warn(
    { count: others.count },
    'other workers share this database, and there is no REDIS_URL: each process counts limits for itself',
  )
}
