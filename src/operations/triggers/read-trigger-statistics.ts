/** What came of triggers: of their newest executions, and of all that patterns answered. For whoever has MANAGE on the flow. */
import type { Trigger } from '../../triggers/entities/trigger.ts'
import type { Call } from '../call.ts'
import { readAllowedActions } from '../flows/read-flow-access.ts'

export interface TriggerStatistics {
  /** of the newest executions, as long as they are kept */
  executions: number
  succeeded: number
  ended: number
  p50Ms: number | null
  p95Ms: number | null
  /** of all that `dispatch` answered by it, ever */
  answers: number
  cached: number
  tokens: number
}

/** More are not counted: each is a look at an index and a row. */
export const MOST_EXECUTIONS = 1_000

/** null: not for the caller. One statement for all of them. */
export async function readTriggerStatistics(
  call: Call,
  triggers: readonly Pick<Trigger, 'id' | 'flowId'>[],
): Promise<(TriggerStatistics | null)[]> {
  const flowIds = [...new Set(triggers.map(({ flowId }) => flowId))]
  const actions = await readAllowedActions(call, flowIds)
  const managed = new Set(flowIds.filter((_, place) => actions[place]!.includes('MANAGE')))
  const wanted = triggers.filter(({ flowId }) => managed.has(flowId)).map(({ id }) => id)
  const rows = await call.services.database.query<TriggerStatistics & { id: string }>(READ, [wanted, MOST_EXECUTIONS])
  const byId = new Map(rows.map(({ id, ...statistics }) => [id, statistics]))
  return triggers.map(({ id }) => byId.get(id) ?? null)
}

const READ = `
  select w.id, s.*, coalesce(u.answers, 0)::float8 as answers, coalesce(u.cached, 0)::float8 as cached, coalesce(u.tokens, 0)::float8 as tokens
  from unnest($1::uuid[]) as w(id)
  left join sluice.pattern_uses u on u.trigger_id = w.id,
  lateral (
    select count(*)::integer as executions, count(*) filter (where e.status = 'SUCCEEDED')::integer as succeeded,
      count(e.ended_at)::integer as ended,
      percentile_cont(0.5) within group (order by e.ms) as "p50Ms", percentile_cont(0.95) within group (order by e.ms) as "p95Ms"
    from (
      select x.status, x.ended_at, extract(epoch from x.ended_at - x.started_at)::float8 * 1000 as ms
      from sluice.executions x where x.trigger_id = w.id order by x.id desc limit $2) as e) as s`
