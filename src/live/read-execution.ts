/** What feeds read: an execution with the events after a place, in one statement, so that both are of one moment. */
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import { together } from '../database/together.ts'
import { Execution } from '../engine/entities/execution.ts'
import type { MasksOf } from '../engine/masks.ts'
import type { EventType } from '../engine/states.ts'
import type { Json } from '../language/values.ts'
import type { FeedPlace } from './cursor.ts'
import type { ExecutionPage, FeedEvent } from './frames.ts'

/** Reads the execution and at most `limit` events after `after`, both as of one moment; undefined when there is no such execution. */
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

interface Question {
  readonly executionId: string
  readonly after: number | undefined
  readonly limit: number
}

/** Executions of one statement: each may have as many events as fill a frame. */
const TOGETHER = { most: 50, atOnce: 4 }

/**
 * The reader of feeds over this database: what it reads is masked, whoever follows. `after` undefined: the execution alone. What is
 * asked while a statement runs goes together with the next one: when a thousand executions are watched and all change, that is some
 * twenty statements.
 */
export function createReadAfter(database: Database, masks: MasksOf): ReadAfter {
  const columns = Object.values(database.orm.getMetadata(Execution).properties).map(({ fieldNames }) => `x.${fieldNames[0]}`)
  const text = prepared(`
    select q.place::integer, (select sluice.database_epoch()) as "databaseEpoch", coalesce(e.events, '[]') as events, ${columns.join(', ')}
    from unnest($1::uuid[], $2::integer[], $3::integer[]) with ordinality as q(execution_id, after, most, place)
    join sluice.executions x on x.id = q.execution_id
    left join lateral (
      select json_agg(json_build_object('seq', v.seq, 'type', v.type, 'at', floor(extract(epoch from v.at) * 1000),
        'step', v.step, 'path', v.path, 'attempt', v.attempt, 'data', v.data) order by v.seq) as events
      from (select * from sluice.events where execution_id = q.execution_id and seq > q.after order by seq limit q.most) v
    ) e on true`)

  async function readAll(questions: readonly Question[]): Promise<(ExecutionPage | undefined)[]> {
    const rows = await database.query<{ place: number; databaseEpoch: string; id: string; events: EventRow[] }>(text, [
      questions.map(({ executionId }) => executionId),
      questions.map(({ after = 0 }) => after),
      questions.map(({ after, limit }) => (after === undefined ? 0 : limit)),
    ])
    const found = await masks(rows.map(({ id }) => id))
    const pages: (ExecutionPage | undefined)[] = questions.map(() => undefined)
    for (const { place, databaseEpoch: epoch, events, ...columnsOfExecution } of rows) {
      const mask = found.get(columnsOfExecution.id)!
      const execution = database.fork().map(Execution, columnsOfExecution)
      mask.hideIn(execution)
      pages[place - 1] = { execution, events: events.map((event) => mask.event(toEvent(event))), epoch }
    }
    return pages
  }

  const read = together(readAll, TOGETHER)
  return (executionId, after, limit) => read({ executionId, after, limit })
}

const toEvent = (row: EventRow): Omit<FeedEvent, 'redacted'> => ({ ...row, at: new Date(row.at) })

/** The place of each of these executions after its newest event; one that does not exist is missing. */
export async function readPlaces(database: Database, executionIds: readonly string[]): Promise<ReadonlyMap<string, FeedPlace>> {
  const rows = await database.query<FeedPlace & { id: string }>(
    'select id, seq, (select sluice.database_epoch()) as epoch from sluice.executions where id = any($1)',
    [executionIds],
  )
  return new Map(rows.map(({ id, ...place }) => [id, place]))
}
