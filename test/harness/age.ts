/** Makes executions older than they are, as only a superuser can: their ids are their time. */
import { Client } from 'pg'
import { inject, onTestFinished } from 'vitest'
import { onDatabase } from './urls.ts'

/** Whoever has the whole server: past every trigger, right and age. Closed at the end of the test. */
export async function superuserOf(databaseName: string): Promise<Client> {
  const client = new Client({ connectionString: onDatabase(inject('cluster').superuser, databaseName) })
  await client.connect()
  await client.query('set session_replication_role = replica')
  onTestFinished(() => client.end())
  return client
}

const DAY_MS = 86_400_000
const TIMES = ['created_at', 'started_at', 'ended_at', 'last_event_at']
const OF_EXECUTIONS = [
  ...['execution_inputs', 'execution_outputs', 'step_runs', 'events', 'agent_requests', 'inbox', 'late_outcomes'],
  ...['execution_links', 'execution_origins', 'cached_results'],
]

/** Moves whole executions into the past, with all that belongs to them; answers their new ids. */
export async function age(superuser: Client, ids: readonly string[], days: number): Promise<string[]> {
  const moved = ids.map((id) => ({ id, older: olderId(id, days) }))
  await makePartitions(
    superuser,
    moved.map(({ older }) => timeOf(older)),
  )
  const pairs = [moved.map(({ id }) => id), moved.map(({ older }) => older)]
  const from = 'from unnest($1::uuid[], $2::uuid[]) as m(id, older)'
  for (const table of OF_EXECUTIONS)
    await superuser.query(`update sluice.${table} t set execution_id = m.older ${from} where t.execution_id = m.id`, pairs)
  for (const column of ['parent_id', 'retry_of'])
    await superuser.query(`update sluice.executions t set ${column} = m.older ${from} where t.${column} = m.id`, pairs)
  await superuser.query(`update sluice.idempotency_keys t set subject_id = m.older ${from} where t.subject_id = m.id`, pairs)
  const times = TIMES.map((column) => `${column} = t.${column} - make_interval(days => ${days})`).join(', ')
  await superuser.query(`update sluice.executions t set id = m.older, ${times} ${from} where t.id = m.id`, pairs)
  return moved.map(({ older }) => older)
}

const timeOf = (id: string): number => parseInt(id.replaceAll('-', '').slice(0, 12), 16)

export function olderId(id: string, days: number): string {
  const hex = (timeOf(id) - days * DAY_MS).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}${id.slice(13)}`
}

/** The weeks that these moments lie in, as `ensure_partitions` would have made them then. */
export async function makePartitions(superuser: Client, times: readonly number[]): Promise<void> {
  const weeks = new Set(times.map((time) => Math.floor(time / DAY_MS) * DAY_MS).map((day) => day - mondayOffset(day)))
  for (const week of weeks) {
    const name = new Date(week).toISOString().slice(0, 10).replaceAll('-', '')
    for (const parent of ['step_runs', 'events']) {
      await superuser.query(`
        do $$ begin
          if to_regclass('sluice.${parent}_${name}') is null then
            execute format('create table sluice.${parent}_${name} partition of sluice.${parent} for values from (%L) to (%L)',
              sluice.week_start_uuid(to_timestamp(${week / 1000})), sluice.week_start_uuid(to_timestamp(${week / 1000 + 604_800})));
            alter table sluice.${parent}_${name} owner to sluice_owner;
          end if;
        end $$`)
    }
  }
}

const mondayOffset = (day: number): number => ((new Date(day).getUTCDay() + 6) % 7) * DAY_MS
