/** What was started for failures of executions (`onFailure`), and whose failure executions were started for. */
import type { Call } from '../call.ts'

/** In the order of `executionIds`, which the caller was shown; null: none. UUIDs. */
export interface FailureOf {
  handledBy: string | null
  handles: string | null
}

export async function findFailureFlows(call: Call, executionIds: readonly string[]): Promise<FailureOf[]> {
  const rows = await call.services.database.query<FailureOf>(
    `select (select f.handled_by from sluice.failures f where f.execution_id = w.id) as "handledBy",
      (select f.execution_id from sluice.failures f where f.handled_by = w.id) as handles
     from unnest($1::uuid[]) with ordinality as w(id, place) order by w.place`,
    [executionIds],
  )
  return rows
}
