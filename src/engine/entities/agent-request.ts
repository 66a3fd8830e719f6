/** A question a step asks an agent or a person, or a notice it sends them. Read only: the commit function alone writes it. */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { Json } from '../../language/values.ts'
import type { AgentDecision, AgentRequestStatus } from '../states.ts'

const AgentRequestSchema = defineEntity({
  name: 'AgentRequest',
  tableName: 'agent_requests',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    executionId: p.uuid(),
    flowId: p.uuid(),
    initiatorId: p.uuid(),
    path: p.string(),
    attempt: p.integer(),
    kind: p.string().$type<'REQUEST' | 'NOTICE' | 'APPROVAL'>(),
    role: p.string(),
    subject: p.string(),
    body: p.json<Json>(),
    status: p.string().$type<AgentRequestStatus>(),
    createdAt: p.datetime(),
    deadlineAt: p.datetime().nullable(),
    decision: p.string().$type<AgentDecision>().nullable(),
    answer: p.json<Json>().nullable(),
    answeredBy: p.uuid().nullable(),
    answeredAt: p.datetime().nullable(),
    version: p.integer(),
  },
})
export class AgentRequest extends AgentRequestSchema.class {}
AgentRequestSchema.setClass(AgentRequest)
