/** Which audit events somebody wants to see, as conditions on `sluice.audit_events`, called `t`: for lists and for the feed. */
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { Severity } from './audit-entry.ts'
import { storable } from './record-audit.ts'
import { auditTypeOf, SECURITY_KIND_NAMES } from './security-kinds.ts'

/** Ids are UUIDs; all that is given must hold. */
export interface AuditFilter {
  type?: string | undefined
  /** only security events */
  security?: boolean | undefined
  severity?: readonly Severity[] | undefined
  success?: boolean | undefined
  actorId?: string | undefined
  flowId?: string | undefined
  executionId?: string | undefined
  /** exactly as it was recorded */
  ip?: string | undefined
  /** inclusive */
  after?: Date | undefined
  /** exclusive */
  before?: Date | undefined
}

export const SECURITY_TYPES: readonly string[] = SECURITY_KIND_NAMES.map(auditTypeOf)

export function auditConditions(filter: AuditFilter): RawBuilder<unknown>[] {
  const { type, security, severity, success, actorId, flowId, executionId, ip, after, before } = filter
  return [
    type === undefined ? [] : [isText('type', type)],
    security === undefined ? [] : [sql`(t.type = any(${SECURITY_TYPES})) = ${security}`],
    severity ? [sql`t.severity = any(${severity})`] : [],
    // as its index has it
    success === undefined ? [] : [success ? sql`t.success` : sql`not t.success`],
    actorId ? [sql`t.actor_id = ${actorId}`] : [],
    flowId ? [sql`t.flow_id = ${flowId}`] : [],
    executionId ? [sql`t.execution_id = ${executionId}`] : [],
    ip === undefined ? [] : [isText('ip', ip)],
    after ? [sql`t.at >= ${after}`] : [],
    before ? [sql`t.at < ${before}`] : [],
  ].flat()
}

/** What PostgreSQL cannot store is nowhere. */
const isText = (column: 'type' | 'ip', value: string): RawBuilder<unknown> =>
  storable(value) === value ? sql`${sql.ref(`t.${column}`)} = ${value}` : sql`false`
