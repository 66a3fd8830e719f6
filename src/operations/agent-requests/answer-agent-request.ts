/** Answers what a step asked an agent or a person; an answer to an approval is a vote. */
import { auditEntry } from '../../audit/record-audit.ts'
import type { AgentDecision } from '../../engine/states.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { Json } from '../../language/values.ts'
import type { Call } from '../call.ts'
import { hashOf } from '../../canonical-json.ts'
import { ArgumentCheck, MAX_KEY } from '../check-arguments.ts'
import { findAnswerableRequest } from './find-answerable-request.ts'
import type { AnswerableRequest } from './find-answerable-request.ts'
import type { AgentRequestHead } from '../load-by-id.ts'
import { requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export interface AnswerAgentRequest {
  /** UUID */
  id: string
  /** REJECT is a successful answer too: the step's output says so */
  decision: AgentDecision
  data?: unknown
  /** of an approval: what was shown to whoever votes */
  dataHash?: string | undefined
  idempotencyKey?: string | undefined
}

/** Votes are kept with the execution until it is decided. */
const MAX_VOTE_BYTES = 2_000

/** Problems: NOT_FOUND, VALIDATION, STATE_TOO_LARGE, ILLEGAL_STATE (not open any more), IDEMPOTENCY_MISMATCH. Throws FORBIDDEN. */
export async function answerAgentRequest(
  call: Call,
  answer: AnswerAgentRequest,
): Promise<{ agentRequest: AgentRequestHead; replayed: boolean } | Problem> {
  const answered = await answerFound(call, await findAnswerableRequest(call, answer.id), answer)
  if (isProblem(answered)) return answered
  const agentRequest = await findAnswerableRequest(call, answer.id)
  return agentRequest ? { agentRequest, replayed: answered.replayed } : problem('NOT_FOUND')
}

/** The same, of a request that was looked for. */
export async function answerFound(
  call: Call,
  request: AnswerableRequest | undefined,
  { id, decision, data = null, dataHash, idempotencyKey }: AnswerAgentRequest,
): Promise<{ replayed: boolean } | Problem> {
  const principal = requirePrincipal(call)
  if (!request) return problem('NOT_FOUND')
  const { executionId, flowId, kind } = request
  if (!request.answerable) return forbid(call, { type: 'agentRequest.answerRefused', executionId, flowId })
  if (kind === 'NOTICE') return problem('ILLEGAL_STATE', { message: 'It is a notice, which wants no answer.' })

  const check = new ArgumentCheck()
  check.line(['idempotencyKey'], idempotencyKey, MAX_KEY)
  if (kind === 'APPROVAL') checkVote(check, decision, dataHash, request.dataHash)
  const most = kind === 'APPROVAL' ? MAX_VOTE_BYTES : MAX_STATE_BYTES
  const payload = checkPayload(data, most)
  if (!payload.ok && payload.code === 'TOO_LARGE') {
    return problem('STATE_TOO_LARGE', { path: ['data'], message: `The answer is too large: ${payload.message}.` })
  }
  if (!payload.ok) check.add(payload.code, ['data'], payload.message)
  if (check.problem) return check.problem

  const { engine } = call.services
  const by = principal.actsAs
  const order = {
    ...{ requestId: id, executionId, data: data as Json },
    audit: [
      auditEntry(call, {
        type: 'agentRequest.answered',
        executionId,
        flowId,
        metadata: { decision, ...(request.dataHash !== null && { dataHash: request.dataHash }) },
      }),
    ],
    ...(idempotencyKey !== undefined && {
      idempotency: { principalId: by, key: idempotencyKey, inputHash: hashOf([id, decision, data]) },
    }),
  }
  return kind === 'APPROVAL' && decision !== 'ANSWER'
    ? engine.vote({ ...order, decision, by, dataHash: request.dataHash! })
    : engine.answer({ ...order, decision, answeredBy: by })
}

/** Whoever votes says what on: the hash of what they were shown. */
function checkVote(check: ArgumentCheck, decision: AgentDecision, dataHash: string | undefined, shown: string | null): void {
  if (decision === 'ANSWER') check.add('INVALID_VALUE', ['decision'], 'It must be APPROVE or REJECT: this is an approval.')
  if (dataHash === undefined) check.add('REQUIRED', ['dataHash'], 'A vote names the `dataHash` of what was shown.')
  else if (dataHash !== shown)
    check.add('DATA_HASH_MISMATCH', ['dataHash'], 'It is not the hash of what this approval shows; read it again.')
}
