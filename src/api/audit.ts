/** The audit log, for administrators. */
import type { AuditEntry, Severity as SeverityName } from '../audit/audit-entry.ts'
import type { AuditFilter as Filter } from '../audit/audit-filter.ts'
import { encodeId } from '../ids.ts'
import { listAuditEvents } from '../operations/audit/list-audit-events.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { given } from './given.ts'
import { uuidOf } from './node-ids.ts'
import { AuditEvent, Execution, Flow } from './refs.ts'
import { User } from './viewer.ts'

export const Severity = builder.enumType('AuditSeverity', {
  description: 'How much attention it needs.',
  values: {
    INFO: { description: 'Everyday.' },
    NOTICE: { description: 'Worth a look, such as a refusal.' },
    WARNING: { description: 'Probably wrong.' },
    CRITICAL: { description: 'Needs somebody now.' },
  } satisfies Record<SeverityName, { description: string }>,
})

const ActorKind = builder.enumType('ActorKind', {
  description: 'What kind of principal did something.',
  values: {
    USER: { description: 'A person who signed in.' },
    API_KEY: { description: 'A program with a key.' },
    AGENT: { description: 'An agent.' },
    LINK: { description: 'Whoever held a link to an execution.' },
    SYSTEM: { description: 'The server itself.' },
    ANONYMOUS: { description: 'Somebody who had not signed in.' },
  } satisfies Record<AuditEntry['actorKind'], { description: string }>,
})

AuditEvent.implement({
  description: 'Who did what to what, and how it ended. Never contents, never secrets.',
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime', description: 'When.' }),
    type: t.exposeString('type', { description: 'What, noun first, such as `flow.created`.' }),
    severity: t.field({ type: Severity, description: 'How much attention it needs.', resolve: ({ severity }) => severity }),
    actorKind: t.field({ type: ActorKind, description: 'What kind of principal did it.', resolve: ({ actorKind }) => actorKind }),
    actor: t.field({
      type: User,
      nullable: true,
      description: 'Who did it, if a person whose account is still there.',
      resolve: ({ actorKind, actorId }) => (actorKind === 'USER' ? actorId : null),
    }),
    flow: t.field({
      type: Flow,
      nullable: true,
      description: 'The flow it is about, if it is still there.',
      resolve: ({ flowId }) => flowId,
    }),
    execution: t.field({
      type: Execution,
      nullable: true,
      description: 'The execution it is about, if it is still there.',
      resolve: ({ executionId }) => executionId,
    }),
    executionId: t.id({
      nullable: true,
      description: 'Its id, also when it has been removed.',
      resolve: ({ executionId }) => (executionId ? encodeId('execution', executionId) : null),
    }),
    success: t.exposeBoolean('success', { description: 'Whether it was done; false for refusals and failures.' }),
    durationMs: t.float({
      nullable: true,
      description: 'How long it took, in milliseconds.',
      resolve: ({ durationMs }) => (durationMs === null ? null : Number(durationMs)),
    }),
    tokens: t.exposeInt('tokens', { nullable: true, description: 'Tokens that it used.' }),
    errorCode: t.exposeString('errorCode', { nullable: true, description: 'Why it was not done.' }),
    metadata: t.expose('metadata', {
      type: 'JSON',
      nullable: true,
      description: 'What more there is to say; depends on `type`.',
    }),
    ip: t.exposeString('ip', { nullable: true, description: 'The address it came from.' }),
    userAgent: t.exposeString('userAgent', { nullable: true, description: 'What the client called itself.' }),
  }),
})

export const AuditFilter = builder.inputType('AuditFilter', {
  description: 'Which audit events; all that is given must hold.',
  fields: (t) => ({
    type: t.string({ description: 'Exactly this type.' }),
    security: t.boolean({ description: 'True: only what needs attention (`securityEvents`); false: the rest.' }),
    severity: t.field({ type: [Severity], description: 'Any of these.' }),
    success: t.boolean({ description: 'Done, or refused.' }),
    actor: t.id({ description: 'Who did it.' }),
    flow: t.id({ description: 'The flow they are about.' }),
    execution: t.id({ description: 'The execution they are about.' }),
    ip: t.string({ description: 'The address it came from, exactly as `ip` shows it.' }),
    after: t.field({ type: 'DateTime', description: 'At this time or later.' }),
    before: t.field({ type: 'DateTime', description: 'Before this time.' }),
  }),
})

export function wantedEvents(filter: typeof AuditFilter.$inferInput | null | undefined): Filter {
  const { actor, flow, execution, ...rest } = given(filter)
  return {
    ...rest,
    ...(actor !== undefined && { actorId: uuidOf('user', actor) }),
    ...(flow !== undefined && { flowId: uuidOf('flow', flow) }),
    ...(execution !== undefined && { executionId: uuidOf('execution', execution) }),
  }
}

builder.queryField('auditEvents', (t) =>
  t.connection(
    {
      type: AuditEvent,
      authScopes: { may: 'AUDIT_READ' },
      description: 'The audit log, the newest first. For administrators.',
      complexity: connectionCost,
      args: { filter: t.arg({ type: AuditFilter, description: 'Which events.' }) },
      resolve: (_root, { filter, ...args }, call) => {
        const wanted = wantedEvents(filter)
        return readPage(
          'AuditEvent',
          args,
          (page) => listAuditEvents(call, wanted, page),
          (event) => event.id,
        )
      },
    },
    ...connectionTypes(AuditEvent, 'AuditEvent'),
  ),
)
