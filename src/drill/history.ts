/** What PostgreSQL has of the executions of a drill, as plain data. */
import type { Database } from '../database/database.ts'
import { encodeId } from '../ids.ts'

export interface StoredEvent {
  readonly seq: number
  readonly type: string
  readonly path: string | null
  readonly attempt: number | null
}

export interface StoredExecution {
  /** readable */
  readonly id: string
  readonly status: string
  /** how many events it should have */
  readonly seq: number
  readonly output: unknown
  readonly events: readonly StoredEvent[]
  /** of its step runs */
  readonly paths: readonly string[]
  /** entries of the audit log about its end */
  readonly ends: number
}

export interface History {
  /** by readable id */
  readonly executions: ReadonlyMap<string, StoredExecution>
  /** what the monitor of invariants had to mend */
  readonly repairs: number
  /** outcomes that came from a worker after another had taken over */
  readonly late: number
}

const IDS = `select id from sluice.executions where labels @> $1::jsonb order by id`

const EXECUTIONS = `
  select e.id, e.status, e.seq, o.body as output,
    (select count(*)::int from sluice.audit_events a where a.execution_id = e.id and a.type = 'execution.finished') as ends,
    (select count(*)::int from sluice.repairs r where r.execution_id = e.id) as repairs,
    (select count(*)::int from sluice.late_outcomes l where l.execution_id = e.id) as late
  from sluice.executions e left join sluice.execution_outputs o on o.execution_id = e.id where e.id = any($1::uuid[])`
const EVENTS = `
  select execution_id as of, seq, type, path, attempt from sluice.events where execution_id = any($1::uuid[]) order by execution_id, seq`
const PATHS = `select execution_id as of, path from sluice.step_runs where execution_id = any($1::uuid[])`

const BATCH = 500

/** Of those with this label, whoever started them. */
export async function readHistory(database: Database, label: { key: string; value: string }): Promise<History> {
  const executions = new Map<string, StoredExecution>()
  let repairs = 0
  let late = 0
  const ids = (await database.query<{ id: string }>(IDS, [JSON.stringify({ [label.key]: label.value })])).map(({ id }) => id)
  for (let at = 0; at < ids.length; at += BATCH) {
    const batch = [ids.slice(at, at + BATCH)]
    const [rows, events, paths] = await Promise.all([
      database.query<Pick<StoredExecution, 'id' | 'status' | 'seq' | 'output' | 'ends'> & { repairs: number; late: number }>(
        EXECUTIONS,
        batch,
      ),
      database.query<StoredEvent & { of: string }>(EVENTS, batch),
      database.query<{ of: string; path: string }>(PATHS, batch),
    ])
    const eventsOf = Map.groupBy(events, ({ of }) => of)
    const pathsOf = Map.groupBy(paths, ({ of }) => of)
    for (const { id, repairs: mended, late: tooLate, ...row } of rows) {
      repairs += mended
      late += tooLate
      const readable = encodeId('execution', id)
      const own = { events: eventsOf.get(id) ?? [], paths: (pathsOf.get(id) ?? []).map(({ path }) => path) }
      executions.set(readable, { ...row, ...own, id: readable })
    }
  }
  return { executions, repairs, late }
}
