/** Security events: what needs attention, for administrators. */
import { ruleOf, SECURITY_KINDS, subjectId } from '../audit/security-kinds.ts'
import type { SecurityKind as SecurityKindName, Subject, SubjectKind as SubjectKindName } from '../audit/security-kinds.ts'
import { decodeId } from '../ids.ts'
import { listSecurityEvents } from '../operations/audit/list-security-events.ts'
import { Severity } from './audit.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { given } from './given.ts'
import { ApiKey, AuditEvent, Flow, SecurityEvent } from './refs.ts'
import { User } from './viewer.ts'

const SecurityKind = builder.enumType('SecurityEventKind', {
  description: 'What was seen.',
  values: Object.fromEntries(Object.entries(SECURITY_KINDS).map(([kind, { what }]) => [kind, { description: what }])) as Record<
    SecurityKindName,
    { description: string }
  >,
})

const SubjectKind = builder.enumType('SecuritySubjectKind', {
  description: 'What kind of thing was watched.',
  values: {
    USER: { description: 'A person: who did it, or whose account is in danger; the kind of the event says which.' },
    API_KEY: { description: 'A key.' },
    AGENT: { description: 'An agent, by its key.' },
    LINK: { description: 'A link to an execution.' },
    ADDRESS: { description: 'An IPv4 address, or an IPv6 network of 64 bits.' },
    FLOW: { description: 'A flow.' },
    EVERYBODY: { description: 'All together: many of whom none stands out, or too many to name each.' },
  } satisfies Record<SubjectKindName, { description: string }>,
})

/** The UUID, if it is of this kind. */
const only = ({ kind, id }: Subject, ...kinds: SubjectKindName[]): string | null => (kinds.includes(kind) ? id : null)

const SecuritySubject = builder.objectRef<Subject>('SecuritySubject').implement({
  description: 'Whom or what a security event is about.',
  fields: (t) => ({
    kind: t.field({ type: SubjectKind, description: 'What kind of thing.', resolve: ({ kind }) => kind }),
    id: t.id({
      nullable: true,
      description: 'Its readable id, also when it is gone; null for addresses and for EVERYBODY.',
      resolve: (subject) => (subject.kind === 'ADDRESS' ? null : (subjectId(subject) ?? null)),
    }),
    address: t.string({
      nullable: true,
      description: 'The address, if it is one.',
      resolve: (subject) => only(subject, 'ADDRESS'),
    }),
    user: t.field({
      type: User,
      nullable: true,
      description: 'The user, if it is one and still there.',
      resolve: (subject) => only(subject, 'USER'),
    }),
    apiKey: t.field({
      type: ApiKey,
      nullable: true,
      description: 'The key of a program or an agent, if it is one and still there.',
      resolve: (subject) => only(subject, 'API_KEY', 'AGENT'),
    }),
    flow: t.field({
      type: Flow,
      nullable: true,
      description: 'The flow, if it is one and still there.',
      resolve: (subject) => only(subject, 'FLOW'),
    }),
  }),
})

SecurityEvent.implement({
  description: 'Something that needs attention: one for each kind, subject and window of time, with how often it happened.',
  fields: (t) => ({
    kind: t.field({ type: SecurityKind, description: 'What was seen.', resolve: ({ kind }) => kind }),
    severity: t.field({ type: Severity, description: 'How much attention it needs.', resolve: ({ severity }) => severity }),
    subject: t.field({
      type: SecuritySubject,
      description: 'Whom or what it is about.',
      resolve: ({ subjectKind, subject }) => ({ kind: subjectKind, id: subject }),
    }),
    count: t.float({
      description: 'How often so far. It grows until its window ends; with several processes it may lag a little.',
      resolve: ({ count }) => Number(count),
    }),
    firstAt: t.expose('firstAt', { type: 'DateTime', description: 'When the first of them was counted.' }),
    lastAt: t.expose('lastAt', { type: 'DateTime', description: 'When the last of them was counted.' }),
    advice: t.string({ description: 'What to do about it.', resolve: ({ kind }) => ruleOf(kind).advice }),
    alertedAt: t.expose('alertedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the webhook took it; null when it has not, or when there is none.',
    }),
    auditEvent: t.field({
      type: AuditEvent,
      nullable: true,
      description: 'The same in the audit log, signed and sealed.',
      resolve: ({ id }) => id,
    }),
  }),
})

const SecurityEventFilter = builder.inputType('SecurityEventFilter', {
  description: 'Which security events; all that is given must hold.',
  fields: (t) => ({
    kind: t.field({ type: [SecurityKind], description: 'Any of these.' }),
    severity: t.field({ type: [Severity], description: 'Any of these.' }),
    subject: t.string({ description: 'The id of a user, key, link or flow, or an address.' }),
    since: t.field({ type: 'DateTime', description: 'Still going on at this time or later.' }),
    until: t.field({ type: 'DateTime', description: 'Begun before this time.' }),
  }),
})

const NAMED = ['user', 'apiKey', 'executionLink', 'flow'] as const

/** A subject as it is stored. */
const storedSubject = (given: string): string =>
  NAMED.map((kind) => decodeId(kind, given)).find((uuid) => uuid !== undefined) ?? given

builder.queryField('securityEvents', (t) =>
  t.connection(
    {
      type: SecurityEvent,
      authScopes: { may: 'AUDIT_READ' },
      description: 'What needs attention, the newest first. For administrators.',
      complexity: connectionCost,
      args: { filter: t.arg({ type: SecurityEventFilter, description: 'Which events.' }) },
      resolve: (_root, { filter, ...args }, call) => {
        const { subject, severity, ...rest } = given(filter)
        const levels = severity?.filter((level) => level !== 'INFO')
        const about = subject === undefined ? {} : { subject: storedSubject(subject) }
        return readPage(
          'SecurityEvent',
          args,
          (page) => listSecurityEvents(call, { ...rest, ...about, ...(levels && { severity: levels }) }, page),
          (event) => event.id,
        )
      },
    },
    ...connectionTypes(SecurityEvent, 'SecurityEvent'),
  ),
)
