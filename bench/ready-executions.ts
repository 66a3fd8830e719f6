/** A table of executions that wait to be claimed, filled by SQL and never analysed; and what a statement reads of it. */

/** One statement as the owner of the tables, or stronger. */
export type Query = <Row extends object>(text: string, params?: unknown[]) => Promise<Row[]>

export interface Crowd {
  /** in all */
  executions: number
  /** of initiator 1, the first in the order of the walk */
  ofTheHuge: number
  /** initiator 2 has one; the others share the rest */
  initiators: number
  flowId: string
  flowVersionId: string
}

/** The `n`th initiator in the order of the walk, from 1. */
export const initiatorNumber = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`

/** From here on nobody gathers statistics. */
export async function stopAnalysing(query: Query): Promise<void> {
  await query('alter table sluice.executions set (autovacuum_enabled = false)')
}

/** After `stopAnalysing`, PostgreSQL knows nothing of what this puts there. */
export async function fillReadyExecutions(query: Query, crowd: Crowd): Promise<void> {
  await query(
    `insert into sluice.executions
       (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, created_at)
     select uuidv7(), $1, $2, ('00000000-0000-4000-8000-' || lpad(to_hex(case when n <= $4 then 1 when n = $4 + 1 then 2
       else 3 + n % ($5 - 2) end), 12, '0'))::uuid, 'PENDING', now(), 2, 3, now()
     from generate_series(1, $3::integer) as n`,
    [crowd.flowId, crowd.flowVersionId, crowd.executions, crowd.ofTheHuge, crowd.initiators],
  )
}

/** As if the table had never been analysed: neither its size nor what its columns hold. */
export async function forgetStatistics(query: Query): Promise<void> {
  await query(`select pg_clear_relation_stats('sluice', 'executions')`)
  await query(
    `select pg_clear_attribute_stats(schemaname, tablename, attname, inherited) from pg_stats where tablename = 'executions'`,
  )
}

/** True when PostgreSQL knows nothing: `reltuples` is -1 until something counts. */
export async function isNeverAnalysed(query: Query): Promise<boolean> {
  const [row] = await query<{ unknown: boolean }>(
    `select reltuples = -1 and not exists (select from pg_stats where schemaname = 'sluice' and tablename = 'executions') as unknown
     from pg_class where oid = 'sluice.executions'::regclass`,
  )
  return row!.unknown
}

interface Plan {
  'QUERY PLAN': { Plan: { 'Shared Hit Blocks': number; 'Shared Read Blocks': number }; 'Execution Time': number }[]
}

/** Runs the statement; pages looked at, those of the functions that it calls included, and ms. */
export async function readingsOf(query: Query, text: string, params: unknown[]): Promise<{ buffers: number; ms: number }> {
  const [row] = await query<Plan>(`explain (analyze, buffers, timing off, format json) ${text}`, params)
  const { Plan: top, 'Execution Time': ms } = row!['QUERY PLAN'][0]!
  return { buffers: top['Shared Hit Blocks'] + top['Shared Read Blocks'], ms }
}
