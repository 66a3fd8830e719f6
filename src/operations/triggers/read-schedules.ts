/** Reads schedules, as they are now, and what each time of a schedule came to. */
import { sql } from 'kysely'
import { rightsOf } from '../../identity/grantees.ts'
import { specOf } from '../../language/triggers/schedule.ts'
import { nextTimes } from '../../language/triggers/schedule-times.ts'
import type { FiringCause, FiringStatus } from '../../triggers/due-times.ts'
import { SCHEDULE_COLUMNS } from '../../triggers/schedule.ts'
import type { Schedule } from '../../triggers/schedule.ts'
import type { Call } from '../call.ts'
import { askerOf, flowsSeenByEach, requirePrincipal } from '../permissions.ts'

/** One time of a schedule. */
export interface Firing {
  /** of its schedule */
  triggerId: string
  scheduledFor: Date
  cause: FiringCause
  status: FiringStatus
  /** of the execution that was started, or will be: a UUID */
  executionId: string
  reason: string | null
}

export const MAX_FIRINGS = 100
export const MAX_NEXT_TIMES = 20

const SCHEDULES = `select ${SCHEDULE_COLUMNS} from sluice.schedules s join sluice.triggers t on t.id = s.trigger_id`

/** Those of the newest versions of these flows, which the caller was shown; by name. */
export async function readFlowSchedules(call: Call, flowIds: readonly string[]): Promise<Schedule[][]> {
  const rows = await call.services.database.query<Schedule>(
    `${SCHEDULES} where t.flow_id = any($1) and t.removed_at is null order by t.name`,
    [flowIds],
  )
  const byFlow = Map.groupBy(rows, ({ flowId }) => flowId)
  return flowIds.map((id) => byFlow.get(id) ?? [])
}

/** What is kept about triggers that the caller was shown; null for those of other types. */
export async function readSchedules(call: Call, triggerIds: readonly string[]): Promise<(Schedule | null)[]> {
  const rows = await call.services.database.query<Schedule>(`${SCHEDULES} where t.id = any($1)`, [triggerIds])
  const byId = new Map(rows.map((row) => [row.id, row]))
  return triggerIds.map((id) => byId.get(id) ?? null)
}

/** One of a flow that the caller may see, whether or not its scopes show it flows. */
export async function findSchedule(call: Call, id: string): Promise<Schedule | undefined> {
  const seen = flowsSeenByEach(askerOf(rightsOf(requirePrincipal(call))))
  const query = sql<Schedule>`${sql.raw(SCHEDULES)}
    where t.id = ${id} and t.removed_at is null and t.flow_id in (select t.id from sluice.flows as t where ${seen})`
  return (await query.execute(call.em.getKysely<unknown>())).rows[0]
}

/** The scheduled times to come, the next first; none while it is paused. `most`: 20 at most. */
export function comingTimes(call: Call, { definition, nextFor }: Schedule, most: number): Date[] {
  if (!nextFor || most < 1) return []
  // what is due now and not taken yet is still to come
  const from = Math.min(nextFor.getTime() - 1, call.services.database.clock.now())
  return nextTimes(specOf(definition).times, from, Math.min(most, MAX_NEXT_TIMES)).map((time) => new Date(time))
}

export interface FiringsWanted {
  triggerId: string
  /** 100 at most */
  first: number
  status: readonly FiringStatus[] | undefined
}

const FIRING = `f.trigger_id as "triggerId", f.scheduled_for as "scheduledFor", f.cause, f.status, f.execution_id as "executionId", f.reason`

const READ = `
select at_index as "atIndex", ${FIRING}
from unnest($1::uuid[], $2::integer[], $3::text[]) with ordinality as wanted (trigger_id, first, status, at_index)
cross join lateral (
  select * from sluice.schedule_firings g where g.trigger_id = wanted.trigger_id
    and (wanted.status is null or g.status = any(string_to_array(wanted.status, ',')))
  order by g.scheduled_for desc limit wanted.first) as f
order by at_index, f.scheduled_for desc`

/** In the order of `wanted`, each the last first. Of schedules that the caller was shown. */
export async function readFirings(call: Call, wanted: readonly FiringsWanted[]): Promise<Firing[][]> {
  const rows = await call.services.database.query<Firing & { atIndex: string }>(READ, [
    wanted.map(({ triggerId }) => triggerId),
    wanted.map(({ first }) => Math.min(first, MAX_FIRINGS)),
    wanted.map(({ status }) => status?.join() ?? null),
  ])
  const lists = wanted.map((): Firing[] => [])
  for (const { atIndex, ...firing } of rows) lists[Number(atIndex) - 1]!.push(firing)
  return lists
}

/** What these executions, which the caller was shown, were started for; null where it was no schedule. */
export async function readFiringsOf(call: Call, executionIds: readonly string[]): Promise<(Firing | null)[]> {
  const rows = await call.services.database.query<Firing>(
    `select ${FIRING} from sluice.schedule_firings f where f.execution_id = any($1)`,
    [executionIds],
  )
  const byId = new Map(rows.map((row) => [row.executionId, row]))
  return executionIds.map((id) => byId.get(id) ?? null)
}
