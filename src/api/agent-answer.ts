/** Answering agent requests, one or many at once. */
import type { InputShapeFromFields } from '@pothos/core'
import { answerAgentRequest } from '../operations/agent-requests/answer-agent-request.ts'
import type { AnswerAgentRequest } from '../operations/agent-requests/answer-agent-request.ts'
import { answerAgentRequests, MOST_ANSWERS } from '../operations/agent-requests/answer-agent-requests.ts'
import type { AnswerResult } from '../operations/agent-requests/answer-agent-requests.ts'
import { Decision } from './agent-request.ts'
import { builder } from './builder.ts'
import type { Types } from './builder.ts'
import { given } from './given.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { IssueType } from './problems.ts'
import { AgentRequest } from './refs.ts'

/** What an answer is, alone and among others. */
const answerFields = (t: PothosSchemaTypes.InputFieldBuilder<Types, 'InputObject'>) => ({
  id: t.id({ required: true, description: 'The agent request.' }),
  decision: t.field({ type: Decision, required: true, description: 'What the answer says.' }),
  data: t.field({ type: 'JSON', description: 'Whatever belongs to the answer, at most 1,000,000 bytes.' }),
  dataHash: t.string({ description: 'Of an approval, which needs it: the `dataHash` of what was shown to whoever decides.' }),
  idempotencyKey: t.string({
    description:
      'Of two calls with the same key and answer only the first counts; both get the same result. 1 to 200 characters.',
  }),
})

const answerOf = ({ id, ...answer }: InputShapeFromFields<ReturnType<typeof answerFields>>): AnswerAgentRequest => ({
  ...{ id: uuidOf('agentRequest', id), ...given(answer), decision: answer.decision },
})

mutation('answerAgentRequest', {
  description:
    'Answers an agent request. The step that asked goes on with `{ decision, data, answeredBy }` as its output. An answer to an approval is a vote.',
  scopes: { may: 'REQUESTS_ANSWER' },
  input: answerFields,
  resolve: (call, input) => answerAgentRequest(call, answerOf(input)),
  success: (t) => ({
    agentRequest: t.field({
      type: AgentRequest,
      description: 'The request as it is now.',
      resolve: ({ agentRequest }) => agentRequest,
    }),
    replayed: t.exposeBoolean('replayed', { description: 'An earlier call with this idempotency key answered it.' }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'ILLEGAL_STATE', 'STATE_TOO_LARGE', 'IDEMPOTENCY_MISMATCH', 'LIMIT_REACHED'],
})

const AgentAnswer = builder.inputType('AgentAnswer', { description: 'One of many answers.', fields: answerFields })

const Result = builder.objectRef<AnswerResult & { id: string }>('AgentAnswerResult').implement({
  description: 'What became of one of many answers.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'The agent request, as it was named.' }),
    ok: t.exposeBoolean('ok', { description: 'The step has this answer.' }),
    replayed: t.boolean({
      description: 'An earlier call with this idempotency key answered it.',
      resolve: ({ replayed }) => replayed ?? false,
    }),
    code: t.exposeString('code', {
      nullable: true,
      description: 'Why not: the code of a problem that `answerAgentRequest` has, or `FORBIDDEN`.',
    }),
    message: t.exposeString('message', { nullable: true, description: 'Why not, for people.' }),
    issues: t.field({
      type: [IssueType],
      description: 'Every mistake, of `VALIDATION`.',
      resolve: ({ issues }) => issues ?? [],
    }),
    retryAfterMs: t.exposeFloat('retryAfterMs', {
      nullable: true,
      description: 'Of `LIMIT_REACHED`: when to come back, in milliseconds.',
    }),
  }),
})

/** As much as `answerAgentRequest`, so that answers of many count as those of one do. */
const COST_OF_AN_ANSWER = 10

mutation('answerAgentRequests', {
  description: `Answers up to ${MOST_ANSWERS} agent requests at once, each for itself: what one of them is refused stops no other.`,
  scopes: { may: 'REQUESTS_ANSWER' },
  input: (t) => ({
    answers: t.field({
      type: [AgentAnswer],
      required: true,
      description: `1 to ${MOST_ANSWERS}, each to another request. A body may have 4 MB.`,
    }),
  }),
  cost: ({ answers }) => COST_OF_AN_ANSWER * answers.length,
  resolve: async (call, { answers }) => {
    const answered = await answerAgentRequests(call, answers.map(answerOf))
    if (!('results' in answered)) return answered
    return { results: answered.results.map((result, at) => ({ ...result, id: answers[at]!.id })) }
  },
  success: (t) => ({
    results: t.field({
      type: [Result],
      description: 'What became of each, in the order of the answers.',
      complexity: { field: 1, multiplier: 1 },
      resolve: ({ results }) => results,
    }),
  }),
  problems: ['VALIDATION'],
})
