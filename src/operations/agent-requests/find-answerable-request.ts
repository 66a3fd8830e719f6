/** Finds agent requests that the caller may see, and whether they may answer them. */
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

export type AnswerableRequest = AgentRequestHead & Answerable

/** As of now, never from an earlier read; undefined: not there, or not visible. */
export const findAnswerableRequest = async (call: Call, id: string): Promise<AnswerableRequest | undefined> =>
  (await findAnswerableRequests(call, [id])).get(id)

/** The same of many in one query, by their ids. */
export async function findAnswerableRequests(
  call: Call,
  ids: readonly string[],
): Promise<ReadonlyMap<string, AnswerableRequest>> {
  const principal = requirePrincipal(call)
  const found = await selectRows<AgentRequest, (typeof AGENT_REQUEST_BODIES)[number], Answerable>(call, AgentRequest, {
    where: sql`t.id = any(${ids}::uuid[]) and ${visibleAgentRequests(principal)}`,
    without: AGENT_REQUEST_BODIES,
    also: sql`, ${answerableRequests(principal)} as answerable,
      (select e.flow_version_id from sluice.executions as e where e.id = t.execution_id) as "flowVersionId",
      (select a.data_hash from sluice.approvals as a where a.request_id = t.id) as "dataHash"`,
  })
  const requests = await maskRequests(call, found)
  return new Map(
    await Promise.all(
      requests.map(async (request) => [request.id, { ...request, answerable: await isLeft(call, request) }] as const),
    ),
  )
}

/** What grants let agents do, the version that asks may take away. */
async function isLeft(call: Call, { answerable, flowVersionId, role }: AgentRequestHead & Answerable): Promise<boolean> {
  const principal = requirePrincipal(call)
  if (!answerable || principal.kind !== 'AGENT') return answerable
  const program = await call.services.engine.program(flowVersionId)
  return !isProblem(program) && isLeftBy(program.permissions, { ...principal, agentRoles: [role] })
}
