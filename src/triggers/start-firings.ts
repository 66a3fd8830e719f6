/**
 * Starts what waits, as soon as it may: at once, or when the execution before it has ended. The schedule's row is locked meanwhile, so
 * that one process does it; a crash in between leaves the firing waiting, and the execution, whose id was stored before, is found.
 */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { specOf } from '../language/triggers/schedule.ts'
import type { ScheduleTrigger } from '../language/triggers/schedule.ts'
import type { StartByTrigger, TriggeredResult } from './start-by-trigger.ts'

/** Schedules in one transaction. */
const BATCH = 20
/** Of one schedule whose executions may overlap. */
const AT_ONCE = 20
/** What a limit holds up is tried again for so long; what was asked for of the past, one after the other, until it may. */
const GIVE_UP = `interval '24 hours'`

interface WaitingRow {
  id: string
  flow_id: string
  name: string
  definition: ScheduleTrigger
  published_by: string
  scheduled_for: Date
  execution_id: string
  exists: boolean
  /** it is not tried again */
  is_last_try: boolean
}

/** Whose next firing is not held up by what runs. */
const FREE = `
select s.trigger_id as id from sluice.schedules s
where s.trigger_id in (select f.trigger_id from sluice.schedule_firings f where f.status = 'WAITING')
  and (s.overlap = 'allow' or not exists (select from sluice.executions e where e.id = s.last_started_id and e.ended_at is null))
  and ($1::uuid is null or s.trigger_id = $1) and s.trigger_id <> all ($2::uuid[])
order by s.trigger_id limit ${BATCH} for no key update of s skip locked`

const WAITING = `
select t.id, t.flow_id, t.name, t.definition, t.published_by, f.scheduled_for, f.execution_id,
  exists (select from sluice.executions e where e.id = f.execution_id) as exists,
  f.cause <> 'BACKFILLED' and f.execution_id < sluice.week_start_uuid(clock_timestamp() - ${GIVE_UP}) as is_last_try
from sluice.schedules s join sluice.triggers t on t.id = s.trigger_id, lateral (
  select * from sluice.schedule_firings w where w.trigger_id = s.trigger_id and w.status = 'WAITING'
  order by w.scheduled_for limit case when s.overlap = 'allow' then ${AT_ONCE} else 1 end) as f
where s.trigger_id = any($1)`

export interface Tried {
  tried: number
  started: number
  /** the flows of those that could not be started, once for each */
  refused: readonly string[]
  /** schedules whose next start is not possible now, and when it may be */
  blocked: readonly { id: string; retryAfterMs: number }[]
}

/** `only`: this schedule alone; `except`: not these. */
export function startFirings(
  database: Pick<Database, 'transaction'>,
  start: StartByTrigger,
  { only = null, except = [] }: { only?: string | null; except?: readonly string[] } = {},
): Promise<Tried> {
  return database.transaction(async (em) => {
    const free = await queryIn<{ id: string }>(em, FREE, [only, except])
    if (free.length === 0) return { tried: 0, started: 0, refused: [], blocked: [] }
    const rows = await queryIn<WaitingRow>(em, WAITING, [free.map(({ id }) => id)])
    const results = await Promise.all(rows.map((row) => startOne(row, start)))
    await record(em, rows, results)
    const blocked = rows.flatMap(({ id }, at) => {
      const result = results[at]!
      // also when it was given up: those after it are not tried in the same moment
      return isLater(result) ? [{ id, retryAfterMs: result.retryAfterMs }] : []
    })
    const started = results.filter(({ ok }) => ok).length
    const refused = rows.filter((row, at) => !results[at]!.ok && hasEnded(row, results[at]!)).map((row) => row.flow_id)
    return { tried: rows.length, started, refused, blocked }
  })
}

async function startOne(row: WaitingRow, start: StartByTrigger): Promise<TriggeredResult> {
  const { id, flow_id: flowId, name, definition, published_by: publishedBy, execution_id: executionId } = row
  // somebody started it, and could not say so any more
  if (row.exists) return { ok: true, executionId, replayed: true }
  const input = specOf(definition).input(row.scheduled_for.getTime())
  if (!input.ok) return { ok: false, code: 'INVALID_INPUT', message: input.message }
  const trigger = { id, type: 'schedule', name, flowId, publishedBy } as const
  return start({ trigger, executionId, input: input.value, firing: row.scheduled_for.toISOString() })
}

type Later = Extract<TriggeredResult, { ok: false }> & { retryAfterMs: number }
/** It is not refused, only not now. */
const isLater = (result: TriggeredResult): result is Later => !result.ok && result.retryAfterMs !== undefined
const hasEnded = (row: WaitingRow, result: TriggeredResult): boolean => row.is_last_try || !isLater(result)

const END = `
update sluice.schedule_firings f set status = n.status, reason = n.reason, execution_id = n.execution_id
from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[]) as n (id, scheduled_for, status, reason, execution_id)
where f.trigger_id = n.id and f.scheduled_for = n.scheduled_for`

const NOTE = `
update sluice.schedules s set last_started_id = coalesce(n.started, s.last_started_id), last_problem = case when n.code is not null
  then jsonb_build_object('code', n.code, 'message', n.message, 'at', clock_timestamp()) end
from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as n (id, started, code, message) where s.trigger_id = n.id`

async function record(em: EntityManager, rows: readonly WaitingRow[], results: readonly TriggeredResult[]): Promise<void> {
  const ended = rows.flatMap((row, at) => (hasEnded(row, results[at]!) ? [{ row, result: results[at]! }] : []))
  await queryIn(em, END, [
    ended.map(({ row }) => row.id),
    ended.map(({ row }) => row.scheduled_for),
    ended.map(({ result }) => (result.ok ? 'STARTED' : 'REFUSED')),
    ended.map(({ result }) => (result.ok ? null : result.message)),
    ended.map(({ row, result }) => (result.ok ? result.executionId : row.execution_id)),
  ])
  // of several firings of one schedule the last one counts
  const notes = new Map<string, { started?: string; code?: string; message?: string }>()
  for (const [at, { id }] of rows.entries()) {
    const result = results[at]!
    const { started } = notes.get(id) ?? {}
    const { code, message } = result.ok ? {} : result
    notes.set(id, result.ok ? { started: result.executionId } : { ...(started && { started }), code, message })
  }
  await queryIn(em, NOTE, [
    [...notes.keys()],
    [...notes.values()].map((note) => note.started ?? null),
    [...notes.values()].map((note) => note.code ?? null),
    [...notes.values()].map((note) => note.message ?? null),
  ])
}

const CANCEL = `
select e.id from sluice.schedules s join sluice.executions e on e.id = s.last_started_id
where s.overlap = 'cancel' and e.ended_at is null and e.cancel_reason is null and e.ending is null and exists (
  select from sluice.schedule_firings f where f.trigger_id = s.trigger_id and f.status = 'WAITING' and f.cause = 'SCHEDULED')
limit 100`

/** Executions that hold up a later time of a schedule whose policy is to cancel them; those that were asked already are not there. */
export async function executionsToCancel(database: Pick<Database, 'query'>): Promise<string[]> {
  return (await database.query<{ id: string }>(CANCEL)).map(({ id }) => id)
}
