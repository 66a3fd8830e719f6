/** Agent requests: what steps ask agents and people. */
import type { AGENT_DECISIONS, AGENT_REQUEST_STATUSES } from '../engine/states.ts'
import { listAgentRequests } from '../operations/agent-requests/list-agent-requests.ts'
import { nameOf } from '../operations/executions/read-steps.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { given } from './given.ts'
import { uuidOf } from './node-ids.ts'
import { orderType } from './order.ts'
import { payloadBytesField, payloadField, redactedField } from './payload-field.ts'
import { AgentRequest, Execution, Flow } from './refs.ts'
import { User } from './viewer.ts'

const Status = builder.enumType('AgentRequestStatus', {
  description: 'How an agent request is.',
  values: {
    OPEN: { description: 'It waits for its answer.' },
    ANSWERED: { description: 'It has its answer.' },
    EXPIRED: { description: 'Nobody answered in time.' },
    CANCELED: { description: 'Its execution ended before it was answered.' },
    DELIVERED: { description: 'It is a notice, which wants no answer.' },
  } satisfies Record<(typeof AGENT_REQUEST_STATUSES)[number], { description: string }>,
})

const Kind = builder.enumType('AgentRequestKind', {
  description: 'Whether an answer is wanted.',
  values: {
    REQUEST: { description: 'A question.' },
    NOTICE: { description: 'A message.' },
    APPROVAL: { description: 'A question to people, who vote.' },
  },
})

export const Decision = builder.enumType('AgentDecision', {
  description: 'What an answer says. Each is a success of the step; its output has the decision.',
  values: {
    APPROVE: { description: 'Yes.' },
    REJECT: { description: 'No.' },
    ANSWER: { description: 'Neither: what was asked for is in `data`.' },
  } satisfies Record<(typeof AGENT_DECISIONS)[number], { description: string }>,
})

AgentRequest.implement({
  description: 'A question that a step asks an agent or a person, or a notice that it sends them.',
  fields: (t) => ({
    kind: t.field({ type: Kind, description: 'Whether an answer is wanted.', resolve: ({ kind }) => kind }),
    role: t.string({
      description: 'The role of agents that is asked; `people` for an approval.',
      resolve: ({ kind, role }) => (kind === 'APPROVAL' ? 'people' : role),
    }),
    subject: t.exposeString('subject', { description: 'What it is about, in a line.' }),
    request: payloadField(t, 'What is asked.', ({ id }, loaders) => loaders.requestBodies.load(id)),
    requestBytes: payloadBytesField(t, 'request', ({ id }, loaders) => loaders.requestBodies.load(id)),
    redacted: redactedField(t, '`request` and `answer`', [
      ({ id }, loaders) => loaders.requestBodies.load(id),
      ({ id, version }, loaders) => loaders.requestAnswers.load({ id, version }),
    ]),
    status: t.field({ type: Status, description: 'How it is.', resolve: ({ status }) => status }),
    execution: t.field({
      type: Execution,
      nullable: true,
      description: 'Whose step asks.',
      resolve: ({ executionId }) => executionId,
    }),
    flow: t.field({
      type: Flow,
      nullable: true,
      description: 'What it belongs to; null when you may not see the flow.',
      resolve: ({ flowId }) => flowId,
    }),
    step: t.string({ description: 'The name of the step that asks.', resolve: ({ path }) => nameOf(path) }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked.' }),
    deadlineAt: t.expose('deadlineAt', { type: 'DateTime', nullable: true, description: 'Until when it can be answered.' }),
    decision: t.field({
      type: Decision,
      nullable: true,
      description: 'What the answer says.',
      resolve: ({ decision }) => decision,
    }),
    answer: payloadField(t, 'The `data` of the answer.', ({ id, version }, loaders) =>
      loaders.requestAnswers.load({ id, version }),
    ),
    answerBytes: payloadBytesField(t, 'answer', ({ id, version }, loaders) => loaders.requestAnswers.load({ id, version })),
    answeredBy: t.field({ type: User, nullable: true, description: 'Who answered.', resolve: ({ answeredBy }) => answeredBy }),
    answeredAt: t.expose('answeredAt', { type: 'DateTime', nullable: true, description: 'When it was answered.' }),
    version: t.exposeInt('version', { description: 'Grows with every change.' }),
  }),
})

const AgentRequestFilter = builder.inputType('AgentRequestFilter', {
  description: 'Which agent requests; all that is given must hold.',
  fields: (t) => ({
    status: t.field({ type: [Status], description: 'Any of these.' }),
    kind: t.field({ type: [Kind], description: 'Any of these.' }),
    role: t.string({ description: 'Who is asked.' }),
    execution: t.id({ description: 'Whose step asks.' }),
  }),
})

builder.queryField('agentRequests', (t) =>
  t.connection(
    {
      type: AgentRequest,
      authScopes: { may: 'REQUESTS_READ' },
      description: 'The agent requests and notices of the executions that you may see.',
      complexity: connectionCost,
      args: {
        filter: t.arg({ type: AgentRequestFilter, description: 'Which ones.' }),
        orderBy: t.arg({
          type: orderType('AgentRequestOrder', 'agent requests'),
          required: true,
          defaultValue: 'NEWEST_FIRST',
          description: 'In which order.',
        }),
      },
      resolve: (_root, { filter, ...args }, call) => {
        const { execution, ...rest } = given(filter)
        const wanted = { ...rest, ...(execution !== undefined && { executionId: uuidOf('execution', execution) }) }
        return readPage(
          'AgentRequest',
          args,
          (page) => listAgentRequests(call, wanted, page),
          (request) => request.id,
          args.orderBy,
        )
      },
    },
    ...connectionTypes(AgentRequest, 'AgentRequest'),
  ),
)

builder.queryField('agentMessageKey', (t) =>
  t.string({
    authScopes: { may: 'REQUESTS_READ' },
    description:
      'What agents that are reached over Redis verify messages of servers with: a public key (Ed25519), 32 bytes in base64url.',
    resolve: (_root, _args, call) => call.services.identity.messageKeys.publicKey,
  }),
)
