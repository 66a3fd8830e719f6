/** Lists the executions that the caller may see. */
import { sql } from 'kysely'
import { Execution } from '../engine/entities/execution.ts'
import type { ExecutionStatus } from '../engine/states.ts'
import { Fault, isProblem } from '../errors.ts'
import type { Call } from './call.ts'
import { isStorableText } from './check-arguments.ts'
import type { Label } from './check-arguments.ts'
import { findFlow, flowReference } from './find-flow.ts'
import { maskExecutions } from './mask-rows.ts'
import type { Principal } from '../identity/principal.ts'
import { between, eachOf, EVERYWHERE, readRows } from './page.ts'
import type { Page, Way } from './page.ts'
import { requirePrincipal, visibleExecutions, waysToExecutions } from './permissions.ts'

/** Ids are UUIDs; all that is given must hold. */
export interface ExecutionFilter {
  /** any of these; an empty list is none of them */
  status?: readonly ExecutionStatus[] | undefined
  /** id or name */
  flow?: string | undefined
  initiatorId?: string | undefined
  /** whose children */
  parentId?: string | undefined
  label?: Label | undefined
  /** inclusive */
  createdAfter?: Date | undefined
  /** exclusive */
  createdBefore?: Date | undefined
}

export async function listExecutions(call: Call, filter: ExecutionFilter, page: Page): Promise<Execution[]> {
  const { status, flow, initiatorId, parentId, label, createdAfter, createdBefore } = filter
  const principal = requirePrincipal(call)
  const ways = parentId ? waysToChildren(principal, parentId) : waysToExecutions(principal)
  const flowId = flow === undefined ? undefined : await flowIdOf(call, flow)
  if (flowId === null || status?.length === 0 || (label && !isStorableText(label.key + label.value))) return []
  const filters = [
    flowId ? [sql`t.flow_id = ${flowId}`] : [],
    initiatorId ? [sql`t.initiator_id = ${initiatorId}`] : [],
    label ? [sql`t.labels @> ${JSON.stringify({ [label.key]: label.value })}::jsonb`] : [],
    between('created_at', createdAfter, createdBefore),
  ].flat()
  const walks = status ? eachOf(ways, 'status', status) : ways
  return maskExecutions(call, await readRows(call, Execution, { table: 'sluice.executions', ways: walks, filters, page }))
}

/** By their parent's index: of what somebody may see, few are children of one execution. */
const waysToChildren = (principal: Principal, parentId: string): readonly Way[] => [
  { ...EVERYWHERE, where: sql`t.parent_id = ${parentId} and ${visibleExecutions(principal)}` },
]

/** Null when there is no such flow. An id is taken as it is: executions stay visible to those who may not see their flow any more. */
async function flowIdOf(call: Call, text: string): Promise<string | null> {
  const by = flowReference(text)
  if ('id' in by) return by.id
  const flow = await findFlow(call, by)
  if (!isProblem(flow)) return flow.id
  if (flow.problem === 'AMBIGUOUS') throw new Fault('AMBIGUOUS', flow.message, { extensions: { candidates: flow.candidates } })
  return null
}
