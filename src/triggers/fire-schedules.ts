/**
 * Takes schedules that are due, and stores what is to be done for each of their times together with their next time: in one
 * transaction, so that a crash neither loses nor doubles a time, and skipping what another process has, so that one takes it.
 */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { newUuid } from '../ids.ts'
import { specOf } from '../language/triggers/schedule.ts'
import type { ScheduleTrigger } from '../language/triggers/schedule.ts'
import { dueTimes } from './due-times.ts'
import type { DueSchedule, NewFiring } from './due-times.ts'

/** In one transaction. */
const BATCH = 50

interface DueRow {
  id: string
  definition: ScheduleTrigger
  next_for: Date
  next_at: Date
  running: boolean
  waiting: number
  now: number
}

const TAKE = `
select t.id, t.definition, s.next_for, s.next_at, (extract(epoch from clock_timestamp()) * 1000)::float8 as now,
  exists (select from sluice.executions e where e.id = s.last_started_id and e.ended_at is null) as running,
  (select count(*) from sluice.schedule_firings f where f.trigger_id = t.id and f.status = 'WAITING' and f.cause = 'SCHEDULED')::integer
    as waiting
from sluice.schedules s join sluice.triggers t on t.id = s.trigger_id
where s.next_at <= clock_timestamp()
order by s.next_at limit ${BATCH} for no key update of s skip locked`

export interface Due {
  schedules: number
  /** how late the last of them is, in ms; 0 when none is due */
  lateMs: number
  /** there may be more that are due */
  more: boolean
  /** what became of their times, at once */
  firings: readonly NewFiring[]
}

export function fireSchedules(database: Pick<Database, 'transaction'>): Promise<Due> {
  return database.transaction(async (em) => {
    const rows = await queryIn<DueRow>(em, TAKE)
    const firings = rows.length > 0 ? await store(em, rows) : []
    const lateMs = Math.max(0, ...rows.map(({ now, next_at: at }) => now - at.getTime()))
    return { schedules: rows.length, lateMs, more: rows.length === BATCH, firings }
  })
}

async function store(em: EntityManager, rows: readonly DueRow[]): Promise<NewFiring[]> {
  const decided = rows.map((row) => ({ id: row.id, ...dueTimes(toDue(row), row.now) }))
  const replaced = decided.flatMap(({ id, replacesWaiting }) => (replacesWaiting ? [id] : []))
  if (replaced.length > 0) await queryIn(em, REPLACE, [replaced])
  const firings = decided.flatMap((schedule) => schedule.firings.map((firing) => ({ ...firing, triggerId: schedule.id })))
  await insertFirings(em, firings)
  await queryIn(em, ADVANCE, [
    decided.map(({ id }) => id),
    decided.map(({ next }) => next && new Date(next.nextFor)),
    decided.map(({ next }) => next && new Date(next.nextAt)),
  ])
  return firings
}

const toDue = ({ id, definition, next_for, next_at, running, waiting }: DueRow): DueSchedule => ({
  ...{ id, spec: specOf(definition), nextFor: next_for.getTime(), nextAt: next_at.getTime(), running, waiting },
})

const REPLACE = `
update sluice.schedule_firings set status = 'SKIPPED', reason = 'A later time took its place.'
where trigger_id = any($1) and status = 'WAITING' and cause = 'SCHEDULED'`

const ADVANCE = `
update sluice.schedules s set next_for = n.next_for, next_at = n.next_at
from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) as n (id, next_for, next_at) where s.trigger_id = n.id`

/** A time has one firing: what was started for it is not started again, what came to nothing may be. */
const INSERT = `
insert into sluice.schedule_firings as f (trigger_id, scheduled_for, cause, status, execution_id, reason)
select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::text[])
on conflict (trigger_id, scheduled_for) do update
  set cause = excluded.cause, status = excluded.status, execution_id = excluded.execution_id, reason = excluded.reason
  where f.status not in ('WAITING', 'STARTED') and excluded.status = 'WAITING'
returning f.execution_id`

/** The executions of those that are new, or are tried again. */
export async function insertFirings(
  em: EntityManager,
  firings: readonly (NewFiring & { triggerId: string; executionId?: string })[],
): Promise<string[]> {
  const rows = await queryIn<{ execution_id: string }>(em, INSERT, [
    firings.map(({ triggerId }) => triggerId),
    firings.map(({ scheduledFor }) => new Date(scheduledFor)),
    firings.map(({ cause }) => cause),
    firings.map(({ status }) => status),
    firings.map(({ executionId }) => executionId ?? newUuid()),
    firings.map(({ reason }) => reason ?? null),
  ])
  return rows.map((row) => row.execution_id)
}
