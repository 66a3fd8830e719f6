/** Reads who may do what on flows: what the caller may, and, for those who manage them, every grant. */
import { sql } from 'kysely'
import { Flow } from '../../engine/entities/flow.ts'
import { FlowGrant } from '../../identity/entities/flow-grant.ts'
import type { Call } from '../call.ts'
import { noteRows } from '../audit/note-reads.ts'
import { LEVELS, mayOnFlow, requirePrincipal, visibleFlows, withLevel } from '../permissions.ts'
import type { FlowAction } from '../permissions.ts'
import { selectRows } from '../select-rows.ts'

/** What the caller may do on each of these flows, in their order. */
export async function readAllowedActions(call: Call, flowIds: readonly string[]): Promise<FlowAction[][]> {
  const levels = await readLevels(call, flowIds)
  const principal = requirePrincipal(call)
  const actions = Object.keys(LEVELS) as FlowAction[]
  return flowIds.map((id) => actions.filter((action) => mayOnFlow(principal, action, { level: levels.get(id) ?? 0 })))
}

/** The grants on each of these flows, the oldest first; null for those that the caller does not manage. */
export async function readFlowGrants(call: Call, flowIds: readonly string[]): Promise<(FlowGrant[] | null)[]> {
  const levels = await readLevels(call, flowIds)
  const principal = requirePrincipal(call)
  const managed = flowIds.filter((id) => mayOnFlow(principal, 'MANAGE', { level: levels.get(id) ?? 0 }))
  if (managed.length === 0) return flowIds.map(() => null)
  const rows = await selectRows(call, FlowGrant, { where: sql`t.flow_id = any(${managed})`, then: sql`order by t.id` })
  noteRows(
    call,
    Flow,
    managed.map((id) => ({ id })),
  )
  const byFlow = Map.groupBy(rows, ({ flowId }) => flowId)
  return flowIds.map((id) => (managed.includes(id) ? (byFlow.get(id) ?? []) : null))
}

async function readLevels(call: Call, flowIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const principal = requirePrincipal(call)
  const rows = await selectRows<Flow, never, { level: number }>(call, Flow, {
    where: sql`t.id = any(${flowIds}) and ${visibleFlows(principal)}`,
    also: withLevel(principal),
  })
  return new Map(rows.map(({ id, level }) => [id, level]))
}
