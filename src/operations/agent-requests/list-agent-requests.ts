/** Lists the agent requests and notices of the executions that the caller may see. */
import { sql } from 'kysely'
import { AgentRequest } from '../../engine/entities/agent-request.ts'
import { AGENT_REQUEST_STATUSES } from '../../engine/states.ts'
import type { AgentRequestStatus } from '../../engine/states.ts'
import type { Principal } from '../../identity/principal.ts'
import type { Call, Reader } from '../call.ts'
import { isStorableText } from '../check-arguments.ts'
import { AGENT_REQUEST_BODIES } from '../load-by-id.ts'
import type { AgentRequestHead } from '../load-by-id.ts'
import { maskRequests } from '../executions/mask-rows.ts'
import { readRows } from '../page.ts'
import type { Page } from '../page.ts'
import { requirePrincipal } from '../permissions.ts'
import { waysToAgentRequests } from './request-permissions.ts'

/** All that is given must hold. */
export interface AgentRequestFilter {
  /** any of these; an empty list is none of them */
  status?: readonly AgentRequestStatus[] | undefined
  kind?: readonly AgentRequest['kind'][] | undefined
  role?: string | undefined
  /** UUID */
  executionId?: string | undefined
}

export const listAgentRequests = (call: Call, filter: AgentRequestFilter, page: Page): Promise<AgentRequestHead[]> =>
  readAgentRequests(call, requirePrincipal(call), filter, page)

/** The same outside of a request. */
export async function readAgentRequests(
  call: Reader,
  principal: Principal,
  filter: AgentRequestFilter,
  page: Page,
): Promise<AgentRequestHead[]> {
  const { status = AGENT_REQUEST_STATUSES, kind, role, executionId } = filter
  if (status.length === 0 || (role !== undefined && !isStorableText(role))) return []
  const filters = [
    kind === undefined ? [] : [sql`t.kind = any(${kind})`],
    role === undefined ? [] : [sql`t.role = ${role}`],
    executionId ? [sql`t.execution_id = ${executionId}`] : [],
  ].flat()
  const requests = await readRows(call, AgentRequest, {
    table: 'sluice.agent_requests',
    ways: waysToAgentRequests(principal, status),
    filters,
    page,
    without: AGENT_REQUEST_BODIES,
  })
  return maskRequests(call, requests)
}
