/** Finds an agent request that the caller may see, and whether they may answer it. */
import { sql } from 'kysely'
import { AgentRequest } from '../../engine/entities/agent-request.ts'
import { isProblem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { AGENT_REQUEST_BODIES } from '../load-by-id.ts'
import type { AgentRequestHead } from '../load-by-id.ts'
import { maskRequests } from '../executions/mask-rows.ts'
import { isLeftBy, requirePrincipal } from '../permissions.ts'
import { answerableRequests, visibleAgentRequests } from './request-permissions.ts'
import { selectRows } from '../select-rows.ts'

interface Answerable {
  answerable: boolean
  flowVersionId: string
  /** of an approval */
  dataHash: string | null
}

/** As of now, never from an earlier read; undefined: not there, or not visible. */
export async function findAnswerableRequest(call: Call, id: string): Promise<(AgentRequestHead & Answerable) | undefined> {
  const principal = requirePrincipal(call)
  const found = await selectRows<AgentRequest, (typeof AGENT_REQUEST_BODIES)[number], Answerable>(call, AgentRequest, {
    where: sql`t.id = ${id} and ${visibleAgentRequests(principal)}`,
    without: AGENT_REQUEST_BODIES,
    also: sql`, ${answerableRequests(principal)} as answerable,
      (select e.flow_version_id from sluice.executions as e where e.id = t.execution_id) as "flowVersionId",
      (select a.data_hash from sluice.approvals as a where a.request_id = t.id) as "dataHash"`,
  })
  const [request] = await maskRequests(call, found)
  return request && { ...request, answerable: await isLeft(call, request) }
}

/** What grants let agents do, the version that asks may take away. */
async function isLeft(call: Call, { answerable, flowVersionId, role }: AgentRequestHead & Answerable): Promise<boolean> {
  const principal = requirePrincipal(call)
  if (!answerable || principal.kind !== 'AGENT') return answerable
  const program = await call.services.engine.program(flowVersionId)
  return !isProblem(program) && isLeftBy(program.permissions, { ...principal, agentRoles: [role] })
}
