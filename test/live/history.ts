/** Executions written by SQL as the engine commits them: events and the execution's `seq` in one transaction, gap-free. */
import type { Database } from '../../src/database/database.ts'
import { newUuid } from '../../src/ids.ts'
import { encodeFeedCursor } from '../../src/live/cursor.ts'

const START = `
  insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, created_at, started_at)
  values ($1, $2, $2, $2, 'RUNNING', now(), 2, 1, now(), now())`

const COMMIT = `
  with moved as (
    update sluice.executions set seq = seq + $2, version = version + 1, last_event_at = now(),
      status = case when $3 then 'SUCCEEDED' else status end, ended_at = case when $3 then now() end
    where id = $1 returning seq
  )
  insert into sluice.events (execution_id, seq, type, at, step, path, attempt, data)
  select $1, n, case when $3 and n = moved.seq then 'execution.succeeded' else 'step.started' end, now(), 'a', 'a', 1, json_build_object('n', n)
  from moved, generate_series(moved.seq - $2 + 1, moved.seq) as n returning seq`

/** A new running execution without events; its UUID. */
export async function startExecution(database: Database): Promise<string> {
  const id = newUuid()
  await database.query(START, [id, newUuid()])
  return id
}

/** Commits `count` events (the last one ends the execution if `ends`); the new seq. */
export async function commitEvents(database: Database, id: string, count: number, ends = false): Promise<number> {
  const rows = await database.query<{ seq: number }>(COMMIT, [id, count, ends])
  return Math.max(...rows.map(({ seq }) => seq))
}

/** Cursors as feeds over this database give them out. */
export async function feedCursors(database: Pick<Database, 'query'>): Promise<(id: string, seq: number) => string> {
  const [row] = await database.query<{ epoch: string }>('select sluice.database_epoch() as epoch')
  return (id, seq) => encodeFeedCursor(id, { seq, epoch: row!.epoch })
}
