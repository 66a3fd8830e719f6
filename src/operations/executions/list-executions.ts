/** Lists the executions that the caller may see. */
import { sql } from 'kysely'
import { Execution } from '../../engine/entities/execution.ts'
import type { ExecutionStatus } from '../../engine/states.ts'
import { Fault, isProblem } from '../../errors.ts'
import type { Call, Reader } from '../call.ts'
import { isStorableText } from '../check-arguments.ts'
import type { Label } from '../check-arguments.ts'
import { findFlow, flowReference } from '../flows/find-flow.ts'
import { maskExecutions } from './mask-rows.ts'
import type { Principal } from '../../identity/principal.ts'
import { between, eachOf, EVERYWHERE, readRows } from '../page.ts'
import type { Page, Way } from '../page.ts'
import { requirePrincipal, visibleExecutions, waysToExecutions } from '../permissions.ts'
import type { Condition } from '../select-rows.ts'

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

/** A filter that says which flow it means. */
export interface WantedExecutions extends Omit<ExecutionFilter, 'flow'> {
  /** UUID */
  flowId?: string
}

export async function listExecutions(call: Call, filter: ExecutionFilter, page: Page): Promise<Execution[]> {
  const principal = requirePrincipal(call)
  const wanted = await wantedExecutions(call, filter)
  return wanted ? readWanted(call, principal, wanted, page) : []
}

/** Undefined when nothing can match: there is no such flow, or nothing could be stored so. Throws AMBIGUOUS. */
export async function wantedExecutions(call: Call, { flow, ...rest }: ExecutionFilter): Promise<WantedExecutions | undefined> {
  const { status, label } = rest
  const flowId = flow === undefined ? undefined : await flowIdOf(call, flow)
  if (flowId === null || status?.length === 0 || (label && !isStorableText(label.key + label.value))) return undefined
  return { ...rest, ...(flowId !== undefined && { flowId }) }
}

export async function readWanted(call: Reader, principal: Principal, wanted: WantedExecutions, page: Page): Promise<Execution[]> {
  const { parentId, status } = wanted
  const ways = parentId ? waysToChildren(principal, parentId) : waysToExecutions(principal)
  const walks = status ? eachOf(ways, 'status', status) : ways
  const filters = lastingConditions(wanted)
  return maskExecutions(call, await readRows(call, Execution, { table: 'sluice.executions', ways: walks, filters, page }))
}

/** What an execution is or is not for as long as it lives: all but its status. */
export const lastingConditions = ({
  flowId,
  initiatorId,
  parentId,
  label,
  createdAfter,
  createdBefore,
}: WantedExecutions): Condition[] =>
  [
    parentId ? [sql`t.parent_id = ${parentId}`] : [],
    flowId ? [sql`t.flow_id = ${flowId}`] : [],
    initiatorId ? [sql`t.initiator_id = ${initiatorId}`] : [],
    label ? [sql`t.labels @> ${JSON.stringify({ [label.key]: label.value })}::jsonb`] : [],
    between('created_at', createdAfter, createdBefore),
  ].flat()

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
