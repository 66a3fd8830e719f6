/**
 * Reading by right of role in the audit log (C7): one row for a request in which an administrator was shown what nobody else of their
 * name would have been: what it was, how much, and of which executions. Written before the answer; no row, no answer.
 */
import type { EntityClass } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import { auditEntry } from '../../audit/record-audit.ts'
import { AuditEvent } from '../../audit/entities/audit-event.ts'
import { SecurityEvent } from '../../audit/entities/security-event.ts'
import { AgentRequest } from '../../engine/entities/agent-request.ts'
import { Execution } from '../../engine/entities/execution.ts'
import { FlowVersion } from '../../engine/entities/flow-version.ts'
import { Flow } from '../../engine/entities/flow.ts'
import { Fault } from '../../errors.ts'
import { ApiKey } from '../../identity/entities/api-key.ts'
import { ExecutionLink } from '../../identity/entities/execution-link.ts'
import { Secret } from '../../identity/entities/secret.ts'
import { Session } from '../../identity/entities/session.ts'
import { User } from '../../identity/entities/user.ts'
import type { Principal } from '../../identity/principal.ts'
import { encodeId } from '../../ids.ts'
import type { Call } from '../call.ts'
import { readsOf } from './note-reads.ts'
import type { Reads } from './note-reads.ts'
import * as permissions from '../permissions.ts'
import { visibleAgentRequests } from '../agent-requests/request-permissions.ts'
import type { Condition } from '../select-rows.ts'

/** A row names no more executions than these; `metadata.executions` counts all. */
const MAX_NAMED = 20

interface Kind {
  /** in the metadata */
  name: string
  table: string
  seenBy(principal: Principal): Condition
}

const KINDS = new Map<EntityClass<object>, Kind>([
  [Execution, { name: 'executions', table: 'executions', seenBy: permissions.visibleExecutions }],
  [Flow, { name: 'flows', table: 'flows', seenBy: permissions.visibleFlows }],
  [FlowVersion, { name: 'flowVersions', table: 'flow_versions', seenBy: permissions.visibleFlowVersions }],
  [AgentRequest, { name: 'agentRequests', table: 'agent_requests', seenBy: visibleAgentRequests }],
  [ApiKey, { name: 'apiKeys', table: 'api_keys', seenBy: permissions.visibleApiKeys }],
  [ExecutionLink, { name: 'executionLinks', table: 'execution_links', seenBy: permissions.visibleExecutionLinks }],
  [AuditEvent, { name: 'auditEvents', table: 'audit_events', seenBy: permissions.visibleAuditEvents }],
  [SecurityEvent, { name: 'securityEvents', table: 'security_events', seenBy: permissions.visibleAuditEvents }],
  [User, { name: 'users', table: 'users', seenBy: ({ actsAs }) => sql`t.id = ${actsAs}` }],
])
/** Nobody sees those of others. */
const ONES_OWN = new Set<EntityClass<object>>([Secret, Session])

/** Throws UNAVAILABLE when it could not be written: then nothing may be shown. */
export async function auditReads(call: Call): Promise<void> {
  const reads = readsOf(call)
  if (!reads) return
  try {
    const facts = await whatWasRead(call, reads)
    if (facts) await call.services.writeAudit(auditEntry(call, { type: 'admin.read', severity: 'NOTICE', ...facts }))
  } catch (cause) {
    throw new Fault('UNAVAILABLE', undefined, { cause })
  }
}

interface Facts {
  executionId?: string
  flowId?: string
  metadata: Record<string, unknown>
}

/** Undefined: all of it is seen without the role too. */
async function whatWasRead(call: Call, reads: Reads): Promise<Facts | undefined> {
  const found = await Promise.all(
    [...reads.rows]
      .filter(([entity]) => !ONES_OWN.has(entity))
      .map(async ([entity, ids]) => [entity, await onlyByRole(call, kindOf(entity), [...ids])] as const),
  )
  const rows = new Map(found.filter(([, ids]) => ids.length > 0))
  if (rows.size === 0 && reads.others.size === 0) return undefined
  const counts = [...rows].map(([entity, ids]): [string, number] => [kindOf(entity).name, ids.length])
  const executions = rows.get(Execution) ?? []
  const flows = rows.get(Flow) ?? []
  const parts = new Set(executions.flatMap((id) => [...(reads.parts.get(id) ?? [])]))
  return {
    ...(executions.length === 1 && { executionId: executions[0] }),
    ...(flows.length === 1 && { flowId: flows[0] }),
    metadata: {
      ...Object.fromEntries([...counts, ...reads.others]),
      ...(parts.size > 0 && { parts: [...parts].toSorted() }),
      ...(executions.length > 1 && { named: executions.slice(0, MAX_NAMED).map((id) => encodeId('execution', id)) }),
    },
  }
}

function kindOf(entity: EntityClass<object>): Kind {
  const kind = KINDS.get(entity)
  if (!kind) throw new Error(`nobody has said who sees ${entity.name} without the role`)
  return kind
}

/** Those that the caller would not see as a user. */
async function onlyByRole({ principal, em }: Call, { table, seenBy }: Kind, ids: readonly string[]): Promise<string[]> {
  const asUser = { ...principal, role: 'USER' } as Principal
  const { rows } = await sql<{ id: string }>`
    select t.id from ${sql.raw(`sluice.${table}`)} as t
    where t.id = any(${ids}) and not coalesce(${seenBy(asUser)}, false)`.execute(em.getKysely<unknown>())
  return rows.map(({ id }) => id)
}
