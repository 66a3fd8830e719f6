/** A security event as lists show it. Written by `raise-security-events.ts` and `alert-webhook.ts` alone. */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { SecurityKind, SecurityKindRule, SubjectKind } from '../security-kinds.ts'

const SecurityEventSchema = defineEntity({
  name: 'SecurityEvent',
  tableName: 'security_events',
  schema: 'sluice',
  readonly: true,
  properties: {
    /** of the audit event that says the same */
    id: p.uuid().primary(),
    kind: p.string().$type<SecurityKind>(),
    severity: p.string().$type<SecurityKindRule['severity']>(),
    subjectKind: p.string().$type<SubjectKind>(),
    subject: p.string(),
    windowAt: p.datetime(),
    count: p.bigint('number'),
    firstAt: p.datetime(),
    lastAt: p.datetime(),
    alertDueAt: p.datetime().nullable(),
    alertAttempts: p.integer(),
    alertedAt: p.datetime().nullable(),
  },
})
export class SecurityEvent extends SecurityEventSchema.class {}
SecurityEventSchema.setClass(SecurityEvent)
