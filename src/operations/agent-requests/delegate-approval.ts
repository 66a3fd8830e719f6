/** Hands one's vote on an approval to somebody else. */
import { sql } from 'kysely'
import { auditEntry } from '../../audit/record-audit.ts'
import { AgentRequest } from '../../engine/entities/agent-request.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import { findAnswerableRequest } from './find-answerable-request.ts'
import { findPeople } from '../people/find-people.ts'
import type { FoundPerson } from '../people/find-people.ts'
import type { AgentRequestHead } from '../load-by-id.ts'
import { requirePerson } from '../permissions.ts'
import { forbid } from '../refuse.ts'
import { isNamed, isNotTheirOwn, mayBeAsked } from './request-permissions.ts'
import { selectRows } from '../select-rows.ts'

export interface DelegateApproval {
  /** UUID of the agent request */
  id: string
  /** a handle, or an id as clients see it */
  to: string
}

/** Problems: NOT_FOUND, VALIDATION (nobody, or nobody who may have it), ILLEGAL_STATE, LIMIT_REACHED. Throws FORBIDDEN. */
export async function delegateApproval(
  call: Call,
  { id, to }: DelegateApproval,
): Promise<{ agentRequest: AgentRequestHead } | Problem> {
  const principal = requirePerson(call)
  const request = await findAnswerableRequest(call, id)
  if (!request) return problem('NOT_FOUND')
  const { executionId, flowId, kind } = request
  if (kind !== 'APPROVAL') return problem('ILLEGAL_STATE', { message: 'It is no approval: it has no votes.' })
  if (!request.answerable) return forbid(call, { type: 'approval.delegationRefused', executionId, flowId })

  const check = new ArgumentCheck()
  const person = (await findPeople(call, [to])).get(to)
  const why = person ? await whyNot(call, id, person) : 'There is no such person.'
  if (why) check.add('INVALID_VALUE', ['to'], why)
  if (check.problem || !person) return check.problem!

  const metadata = { agentRequest: encodeId('agentRequest', id), to: encodeId('user', person.id) }
  const delegated = await call.services.engine.delegate({
    ...{ requestId: id, executionId, from: principal.actsAs, to: person.id },
    audit: [auditEntry(call, { type: 'approval.delegated', executionId, flowId, metadata })],
  })
  if (isProblem(delegated)) return delegated
  const agentRequest = await findAnswerableRequest(call, id)
  return agentRequest ? { agentRequest } : problem('NOT_FOUND')
}

/** Why the person cannot have the vote; undefined: they can. */
async function whyNot(call: Call, requestId: string, { id, role }: FoundPerson): Promise<string | undefined> {
  const rights = { kind: 'USER', actsAs: id, role } as const
  const [found] = await selectRows<AgentRequest, never, { named: boolean; asked: boolean; notOwn: boolean }>(call, AgentRequest, {
    where: sql`t.id = ${requestId}`,
    also: sql`, ${isNamed(rights)} as named, ${mayBeAsked(rights)} as asked, ${isNotTheirOwn(rights)} as "notOwn"`,
  })
  if (!found || role === 'VIEWER' || !found.asked) return 'They may not start the flow, so they cannot decide on it either.'
  if (!found.notOwn) return 'Who started the execution has no vote.'
  return found.named ? 'They have a vote already.' : undefined
}
