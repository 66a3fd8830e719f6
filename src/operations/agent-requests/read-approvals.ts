/** Reads what approvals have come to, of agent requests that the caller was shown: what they need, and the votes. */
import { sql } from 'kysely'
import { AgentRequest } from '../../engine/entities/agent-request.ts'
import { encodeId } from '../../ids.ts'
import type { Json } from '../../language/values.ts'
import type { Call } from '../call.ts'
import { noteParts } from '../audit/note-reads.ts'
import { requirePrincipal } from '../permissions.ts'
import { answerableRequests } from './request-permissions.ts'
import { selectRows } from '../select-rows.ts'

export interface VoteView {
  /** UUIDs of users */
  by: string
  /** whose vote it is */
  for: string
  decision: 'APPROVE' | 'REJECT'
  data: Json
  at: Date
}

export interface Approval {
  requestId: string
  executionId: string
  dataHash: string
  quorum: number
  rejects: number
  selfApproval: boolean
  /** who may vote: `role:USER`, an id of a user, a handle */
  approvers: string[]
  /** in the order in which they were cast */
  votes: VoteView[]
  /** UUIDs of users: whose vote is whose */
  delegations: { from: string; to: string }[]
}

const READ = `
select a.request_id as "requestId", a.execution_id as "executionId", a.data_hash as "dataHash", a.quorum, a.rejects,
  a.self_approval as "selfApproval",
  array(select p.approver from sluice.approvers p where p.request_id = a.request_id and p.delegated_by is null
    order by p.approver) as approvers,
  coalesce((select json_agg(json_build_object('by', v.voter_id, 'for', v.voted_for, 'decision', v.decision, 'data', v.data, 'at',
      v.at) order by v.at, v.voter_id)
    from sluice.votes v where v.request_id = a.request_id), '[]') as votes,
  coalesce((select json_agg(json_build_object('from', d.delegated_by, 'to', substr(d.approver, 6)) order by d.approver)
    from sluice.approvers d where d.request_id = a.request_id and d.delegated_by is not null), '[]') as delegations
from sluice.approvals a where a.request_id = any($1)`

/** In the order of the ids of the requests (UUIDs); null for what is no approval. */
export async function readApprovals(call: Call, requestIds: readonly string[]): Promise<(Approval | null)[]> {
  const { database, engine } = call.services
  const rows = await database.query<Approval>(READ, [requestIds])
  noteParts(
    call,
    rows.map(({ executionId }) => executionId),
    'approvals',
  )
  const masks = await engine.masks(rows.map(({ executionId }) => executionId))
  for (const row of rows) {
    const mask = masks.get(row.executionId)!
    row.approvers = row.approvers.map(readableApprover)
    row.votes = row.votes.map((vote) => ({ ...vote, data: mask.value('other', vote.data).value as Json, at: new Date(vote.at) }))
  }
  const byId = new Map(rows.map((row) => [row.requestId, row]))
  return requestIds.map((id) => byId.get(id) ?? null)
}

const readableApprover = (approver: string): string => {
  if (approver.startsWith('user:')) return encodeId('user', approver.slice('user:'.length))
  return approver.startsWith('handle:') ? approver.slice('handle:'.length) : approver
}

/** Which of these requests, which they were shown, the caller may answer now, and has not yet. */
export async function readAnswerable(call: Call, requestIds: readonly string[]): Promise<boolean[]> {
  const principal = requirePrincipal(call)
  const rows = await selectRows(call, AgentRequest, {
    where: sql`t.id = any(${requestIds}) and t.status = 'OPEN' and ${answerableRequests(principal)}
      and not exists (select from sluice.votes as v where v.request_id = t.id and v.voter_id = ${principal.actsAs})`,
    without: ['body', 'answer'],
  })
  const answerable = new Set(rows.map(({ id }) => id))
  return requestIds.map((id) => answerable.has(id))
}
