/** What feeds read: an execution with the events after a place, in one statement, so that both are of one moment. */
import type { Database } from '../database/database.ts'
import { Execution } from '../engine/entities/execution.ts'
import type { MasksOf } from '../engine/masks.ts'
import type { EventType } from '../engine/states.ts'
import type { Json } from '../language/values.ts'
import type { ExecutionPage, FeedEvent } from './frames.ts'

/** Reads the execution and at most `limit` events after `after` in one statement; undefined when there is no such execution. */
export type ReadAfter = (executionId: string, after: number | undefined, limit: number) => Promise<ExecutionPage | undefined>

interface EventRow {
  seq: number
  type: EventType
  at: number
  step: string | null
  path: string | null
  attempt: number | null
  data: Json
}

/** The reader of feeds over this database: what it reads is masked, whoever follows. `after` undefined: the execution alone. */
export function createReadAfter(database: Database, masks: MasksOf): ReadAfter {
  const columns = Object.values(database.orm.getMetadata(Execution).properties).map(({ fieldNames }) => `x.${fieldNames[0]}`)
  const text = `
    select ${columns.join(', ')}, coalesce(e.events, '[]') as events
    from sluice.executions x left join lateral (
      select json_agg(json_build_object('seq', v.seq, 'type', v.type, 'at', floor(extract(epoch from v.at) * 1000),
        'step', v.step, 'path', v.path, 'attempt', v.attempt, 'data', v.data) order by v.seq) as events
      from (select * from sluice.events where execution_id = $1 and seq > $2 order by seq limit $3) v
    ) e on true
    where x.id = $1`

  return async (executionId, after, limit) => {
    const [row] = await database.query<{ events: EventRow[] }>(text, [executionId, after ?? 0, after === undefined ? 0 : limit])
    if (!row) return undefined
    const { events, ...columnsOfExecution } = row
    const mask = (await masks([executionId])).get(executionId)!
    const execution = database.fork().map(Execution, columnsOfExecution)
    mask.hideIn(execution)
    return { execution, events: events.map((event) => mask.event(toEvent(event))) }
  }
}

const toEvent = (row: EventRow): Omit<FeedEvent, 'redacted'> => ({ ...row, at: new Date(row.at) })

/** The newest seq of each of these executions; one that does not exist is missing. */
export async function readSeqs(database: Database, executionIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const rows = await database.query<{ id: string; seq: number }>('select id, seq from sluice.executions where id = any($1)', [
    executionIds,
  ])
  return new Map(rows.map(({ id, seq }) => [id, seq]))
}
