/** Firings go when events go: what they started is not there any more then. */
import type { Database } from '../database/database.ts'

const AT_ONCE = 1_000

/** The execution's id says when; it is made with the firing. */
const FORGET = `
delete from sluice.schedule_firings where execution_id in (
  select f.execution_id from sluice.schedule_firings f
  where f.execution_id < sluice.week_start_uuid(now() - make_interval(days => (select event_days from sluice.retention)))
    and f.status <> 'WAITING'
  order by f.execution_id limit ${AT_ONCE} for update skip locked)
returning execution_id`

export async function forgetFirings(database: Pick<Database, 'query'>): Promise<void> {
  while ((await database.query(FORGET)).length === AT_ONCE);
}
