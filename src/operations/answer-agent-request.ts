/** Answers what a step asked an agent or a person. */
import { sql } from 'kysely'
import { auditEntry } from '../audit/record-audit.ts'
import { AgentRequest } from '../engine/entities/agent-request.ts'
import type { AgentDecision } from '../engine/states.ts'
import { isProblem, problem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import { checkPayload, MAX_STATE_BYTES } from '../language/payload.ts'
import type { Json } from '../language/program.ts'
import type { Call } from './call.ts'
import { hashOf } from '../canonical-json.ts'
import { ArgumentCheck, MAX_KEY } from './check-arguments.ts'
import { AGENT_REQUEST_BODIES } from './load-by-id.ts'
import type { AgentRequestHead } from './load-by-id.ts'
import { maskRequests } from './mask-rows.ts'
import { answerableRequests, isLeftBy, requirePrincipal, visibleAgentRequests } from './permissions.ts'
import { forbid } from './refuse.ts'
import { selectRows } from './select-rows.ts'

export interface AnswerAgentRequest {
  /** UUID */
  id: string
  /** REJECT is a successful answer too: the step's output says so */
  decision: AgentDecision
  data?: unknown
  idempotencyKey?: string | undefined
}

/** Problems: NOT_FOUND, VALIDATION, STATE_TOO_LARGE, ILLEGAL_STATE (not open any more), IDEMPOTENCY_MISMATCH. Throws FORBIDDEN. */
export async function answerAgentRequest(
  call: Call,
  { id, decision, data = null, idempotencyKey }: AnswerAgentRequest,
): Promise<{ agentRequest: AgentRequestHead; replayed: boolean } | Problem> {
  const principal = requirePrincipal(call)
  const request = await readRequest(call, id)
  if (!request) return problem('NOT_FOUND')
  const { executionId, flowId, kind } = request
  if (!(await mayAnswer(call, request))) return forbid(call, { type: 'agentRequest.answerRefused', executionId, flowId })
  if (kind === 'NOTICE') return problem('ILLEGAL_STATE', { message: 'It is a notice, which wants no answer.' })

  const check = new ArgumentCheck()
  check.line(['idempotencyKey'], idempotencyKey, MAX_KEY)
  const payload = checkPayload(data, MAX_STATE_BYTES)
  if (!payload.ok && payload.code === 'TOO_LARGE') {
    return problem('STATE_TOO_LARGE', { path: ['data'], message: `The answer is too large: ${payload.message}.` })
  }
  if (!payload.ok) check.add(payload.code, ['data'], payload.message)
  if (check.problem) return check.problem

  const answered = await call.services.engine.answer({
    ...{ requestId: id, executionId, decision, data: data as Json, answeredBy: principal.actsAs },
    audit: [auditEntry(call, { type: 'agentRequest.answered', executionId, flowId, metadata: { decision } })],
    ...(idempotencyKey !== undefined && {
      idempotency: { principalId: principal.actsAs, key: idempotencyKey, inputHash: hashOf([id, decision, data]) },
    }),
  })
  if (isProblem(answered)) return answered
  const agentRequest = await readRequest(call, id)
  return agentRequest ? { agentRequest, replayed: answered.replayed } : problem('NOT_FOUND')
}

interface Answerable {
  answerable: boolean
  flowVersionId: string
}

async function readRequest(call: Call, id: string): Promise<(AgentRequestHead & Answerable) | undefined> {
  const principal = requirePrincipal(call)
  const found = await selectRows<AgentRequest, (typeof AGENT_REQUEST_BODIES)[number], Answerable>(call, AgentRequest, {
    where: sql`t.id = ${id} and ${visibleAgentRequests(principal)}`,
    without: AGENT_REQUEST_BODIES,
    also: sql`, ${answerableRequests(principal)} as answerable,
      (select e.flow_version_id from sluice.executions as e where e.id = t.execution_id) as "flowVersionId"`,
  })
  return (await maskRequests(call, found))[0]
}

/** What grants let agents do, the version that asks may take away. */
async function mayAnswer(call: Call, { answerable, flowVersionId, role }: AgentRequestHead & Answerable): Promise<boolean> {
  const principal = requirePrincipal(call)
  if (!answerable || principal.kind !== 'AGENT') return answerable
  const program = await call.services.engine.program(flowVersionId)
  return !isProblem(program) && isLeftBy(program.permissions, { ...principal, agentRoles: [role] })
}
