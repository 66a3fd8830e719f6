/** Approvals: what people are asked to decide, and their votes. */
import { delegateApproval } from '../operations/agent-requests/delegate-approval.ts'
import type { Approval as ApprovalView, VoteView } from '../operations/agent-requests/read-approvals.ts'
import { builder } from './builder.ts'
import { loadersOf } from './loaders.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { AgentRequest } from './refs.ts'
import { Decision } from './agent-request.ts'
import { User } from './viewer.ts'

const Vote = builder.objectRef<VoteView>('ApprovalVote').implement({
  description: 'What one person decided.',
  fields: (t) => ({
    by: t.field({ type: User, nullable: true, description: 'Who voted.', resolve: (vote) => vote.by }),
    for: t.field({
      type: User,
      nullable: true,
      description: 'Whose vote it was, when it was handed to them.',
      resolve: (vote) => (vote.for === vote.by ? null : vote.for),
    }),
    decision: t.field({ type: Decision, description: 'APPROVE or REJECT.', resolve: ({ decision }) => decision }),
    data: t.field({ type: 'JSON', nullable: true, description: 'What they said to it.', resolve: ({ data }) => data }),
    at: t.expose('at', { type: 'DateTime', description: 'When.' }),
  }),
})

const Delegation = builder.objectRef<{ from: string; to: string }>('ApprovalDelegation').implement({
  description: 'A vote that was handed to somebody else.',
  fields: (t) => ({
    from: t.field({ type: User, nullable: true, description: 'Whose vote it was.', resolve: ({ from }) => from }),
    to: t.field({ type: User, nullable: true, description: 'Who has it now.', resolve: ({ to }) => to }),
  }),
})

const Approval = builder.objectRef<ApprovalView>('Approval').implement({
  description: 'What an approval needs, and what has come of it.',
  fields: (t) => ({
    dataHash: t.exposeString('dataHash', {
      description: 'SHA-256, in hexadecimal, of the subject and the data as they are shown: a vote names it.',
    }),
    quorum: t.exposeInt('quorum', { description: 'How many must approve.' }),
    rejects: t.exposeInt('rejects', { description: 'How many rejections end it.' }),
    selfApproval: t.exposeBoolean('selfApproval', { description: 'Whether who started the execution may vote.' }),
    approvers: t.exposeStringList('approvers', {
      description: 'Who may vote: a role such as `role:USER`, a handle, or the id of a user.',
    }),
    votes: t.field({ type: [Vote], description: 'The votes, in the order in which they came.', resolve: ({ votes }) => votes }),
    delegations: t.field({
      type: [Delegation],
      description: 'Votes that were handed to somebody else.',
      resolve: ({ delegations }) => delegations,
    }),
  }),
})

builder.objectFields(AgentRequest, (t) => ({
  approval: t.field({
    type: Approval,
    nullable: true,
    description: 'Of an approval: what it needs, and the votes.',
    complexity: 5,
    resolve: ({ id }, _args, call) => loadersOf(call).approvals.load(id),
  }),
  canAnswer: t.boolean({
    description: 'Whether you may answer it, now.',
    complexity: 5,
    resolve: ({ id }, _args, call) => loadersOf(call).answerable.load(id),
  }),
}))

mutation('delegateApproval', {
  description:
    'Hands your vote on an approval to somebody who may start the flow and has none. They cannot hand it on, and you cannot take it back.',
  scopes: { may: 'REQUESTS_ANSWER' },
  input: (t) => ({
    id: t.id({ required: true, description: 'The agent request.' }),
    to: t.string({ required: true, description: 'Who gets it: a handle, or the id of a user.' }),
  }),
  resolve: (call, { id, to }) => delegateApproval(call, { id: uuidOf('agentRequest', id), to }),
  success: (t) => ({
    agentRequest: t.field({
      type: AgentRequest,
      description: 'The request as it is now.',
      resolve: ({ agentRequest }) => agentRequest,
    }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'ILLEGAL_STATE', 'LIMIT_REACHED'],
})
