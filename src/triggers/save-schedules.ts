/** The schedules of a flow's newest version: when each of them is due next, in the transaction that publishes it. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import { specOf } from '../language/triggers/schedule.ts'
import { nextAfter } from './due-times.ts'
import type { SavedTriggers } from './save-triggers.ts'

/** One that changed is counted from now; a pause outlives the change. */
export async function saveSchedules(em: EntityManager, { added, changed, removed }: SavedTriggers): Promise<void> {
  if (removed.length > 0) await queryIn(em, REMOVE, [removed])
  const saved = [...added, ...changed].flatMap(({ id, definition }) =>
    definition.type === 'schedule' ? [{ id, spec: specOf(definition) }] : [],
  )
  if (saved.length === 0) return
  const [clock] = await queryIn<{ now: number }>(em, 'select (extract(epoch from clock_timestamp()) * 1000)::float8 as now')
  const next = saved.map((schedule) => nextAfter(schedule, clock!.now))
  await queryIn(em, SAVE, [
    saved.map(({ id }) => id),
    saved.map(({ spec }) => spec.overlap),
    next.map((time) => time && new Date(time.nextFor)),
    next.map((time) => time && new Date(time.nextAt)),
  ])
}

const REMOVE = `
with gone as (
  update sluice.schedules set next_for = null, next_at = null, version = version + 1 where trigger_id = any($1) returning trigger_id)
update sluice.schedule_firings f set status = 'SKIPPED', reason = 'The schedule was taken out of the definition.'
from gone where f.trigger_id = gone.trigger_id and f.status = 'WAITING'`

const SAVE = `
insert into sluice.schedules as s (trigger_id, overlap, next_for, next_at)
select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[])
on conflict (trigger_id) do update set overlap = excluded.overlap, last_problem = null, version = s.version + 1,
  next_for = case when s.paused_at is null then excluded.next_for end, next_at = case when s.paused_at is null then excluded.next_at end`
