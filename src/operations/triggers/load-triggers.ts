/** Triggers of flows that the caller was shown, and what started executions that it was shown. */
import { sql } from 'kysely'
import { Trigger } from '../../triggers/entities/trigger.ts'
import type { Call } from '../call.ts'
import { selectRows } from '../select-rows.ts'

/** Those of their newest versions, by name. */
export async function loadFlowTriggers(call: Call, flowIds: readonly string[]): Promise<Trigger[][]> {
  const rows = await selectRows<Trigger>(call, Trigger, {
    where: sql`t.flow_id = any(${flowIds}) and t.removed_at is null`,
    then: sql`order by t.name`,
  })
  const byFlow = Map.groupBy(rows, ({ flowId }) => flowId)
  return flowIds.map((id) => byFlow.get(id) ?? [])
}

/** What there is to say to whoever may see the execution and not its flow. */
export type TriggerName = Pick<Trigger, 'id' | 'type' | 'name'>

/** Also those that their flows do not have any more. */
export async function loadTriggerNames(call: Call, ids: readonly string[]): Promise<(TriggerName | null)[]> {
  const rows = await call.services.database.query<TriggerName>('select id, type, name from sluice.triggers where id = any($1)', [
    ids,
  ])
  const byId = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => byId.get(id) ?? null)
}
