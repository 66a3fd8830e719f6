/** The traces that executions began in, stored with them when somebody traces, so that any process goes on with them. */
import type { Database } from '../database/database.ts'
import { executionContext, isTraceKnown, isTracing, openSpan, rememberTrace } from '../tracing.ts'

const READ = 'select execution_id as id, traceparent from sluice.execution_traces where execution_id = any($1::uuid[])'

/** Makes `executionContext` know these. Costs nothing when nobody traces; a trace is no reason to fail. */
export async function learnTraces(database: Pick<Database, 'query'>, executionIds: readonly string[]): Promise<void> {
  if (!isTracing()) return
  const unknown = executionIds.filter((id) => !isTraceKnown(id))
  if (unknown.length === 0) return
  const rows = await database.query<{ id: string; traceparent: string }>(READ, [unknown]).catch(() => [])
  const found = new Map(rows.map(({ id, traceparent }) => [id, traceparent]))
  for (const id of unknown) rememberTrace(id, found.get(id))
}

/** Each of these was claimed by this process: a span of no length in its trace. */
export async function traceClaims(
  database: Pick<Database, 'query'>,
  executionIds: readonly string[],
  workerId: string,
): Promise<void> {
  if (!isTracing()) return
  await learnTraces(database, executionIds)
  for (const id of executionIds) {
    const parent = executionContext(id)
    if (parent) openSpan('claim', { parent, attributes: { 'sluice.execution': id, 'sluice.worker': workerId } })!.end()
  }
}
