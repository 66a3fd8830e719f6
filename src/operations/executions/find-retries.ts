/** Finds what tried executions again. */
import type { Call } from '../call.ts'

/** The newest for each of these executions (UUIDs), which the caller was shown; whether it may see the retry, is for whoever loads it. */
export async function findRetries(call: Call, executionIds: readonly string[]): Promise<(string | null)[]> {
  const rows = await call.services.database.query<{ of: string; id: string }>(
    `select wanted.id as of, r.id from unnest($1::uuid[]) as wanted(id)
     cross join lateral (select id from sluice.executions where retry_of = wanted.id order by id desc limit 1) as r`,
    [executionIds],
  )
  const byExecution = new Map(rows.map(({ of, id }) => [of, id]))
  return executionIds.map((id) => byExecution.get(id) ?? null)
}
