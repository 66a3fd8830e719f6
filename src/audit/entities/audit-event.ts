/** One row of the audit log. Read only: rows are inserted by `recordAudit` and by the engine's commit, and never change. */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { AuditEntry, Severity } from '../audit-entry.ts'

const AuditEventSchema = defineEntity({
  name: 'AuditEvent',
  tableName: 'audit_events',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    at: p.datetime(),
    type: p.string(),
    severity: p.string().$type<Severity>(),
    actorKind: p.string().$type<AuditEntry['actorKind']>(),
    actorId: p.uuid().nullable(),
    flowId: p.uuid().nullable(),
    executionId: p.uuid().nullable(),
    success: p.boolean(),
    durationMs: p.double().nullable(),
    tokens: p.integer().nullable(),
    errorCode: p.string().nullable(),
    metadata: p.json<Record<string, unknown>>().nullable(),
    ip: p.string().nullable(),
    userAgent: p.string().nullable(),
    mac: p.blob().nullable(),
  },
})
export class AuditEvent extends AuditEventSchema.class {}
AuditEventSchema.setClass(AuditEvent)
