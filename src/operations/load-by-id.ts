/** Loads many things by their ids in one query each, as far as the caller may see them: what relations and `node` are made of. */
import type { EntityClass } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import { AuditEvent } from '../audit/entities/audit-event.ts'
import { SecurityEvent } from '../audit/entities/security-event.ts'
import { AgentRequest } from '../engine/entities/agent-request.ts'
import { Execution } from '../engine/entities/execution.ts'
import { FlowVersion } from '../engine/entities/flow-version.ts'
import { Flow } from '../engine/entities/flow.ts'
import { ApiKey } from '../identity/entities/api-key.ts'
import { ExecutionLink } from '../identity/entities/execution-link.ts'
import { Secret } from '../identity/entities/secret.ts'
import type { JsonObject } from '../language/values.ts'
import { Trigger } from '../triggers/entities/trigger.ts'
import { WebhookDelivery } from '../triggers/entities/webhook-delivery.ts'
import type { Call } from './call.ts'
import { maskExecutions, maskRequests } from './executions/mask-rows.ts'
import { noteRows } from './audit/note-reads.ts'
import {
  requirePrincipal,
  visibleApiKeys,
  visibleExecutionLinks,
  visibleAuditEvents,
  visibleExecutions,
  visibleFlows,
  visibleFlowVersions,
  visibleSecrets,
  visibleTriggers,
  visibleWebhookDeliveries,
} from './permissions.ts'
import { visibleAgentRequests } from './agent-requests/request-permissions.ts'
import { selectRows } from './select-rows.ts'
import type { Condition } from './select-rows.ts'

/** In the order of `ids` (UUIDs); null where there is nothing, or nothing that the caller may see. */
type Load<Row> = (call: Call, ids: readonly string[]) => Promise<(Row | null)[]>

export const loadFlows: Load<Flow> = (call, ids) => load(call, Flow, ids, visibleFlows(requirePrincipal(call)))

export const loadExecutions: Load<Execution> = async (call, ids) =>
  maskExecutions(call, await load(call, Execution, ids, visibleExecutions(requirePrincipal(call))))

/** Without what may be large. */
export type AgentRequestHead = Omit<AgentRequest, (typeof AGENT_REQUEST_BODIES)[number]>
export const AGENT_REQUEST_BODIES = ['body', 'answer'] as const

export const loadAgentRequests: Load<AgentRequestHead> = async (call, ids) =>
  maskRequests(call, await load(call, AgentRequest, ids, visibleAgentRequests(requirePrincipal(call)), AGENT_REQUEST_BODIES))

/** Without what may be large. */
export type FlowVersionHead = Omit<FlowVersion, 'definition'>

export const loadFlowVersions: Load<FlowVersionHead> = (call, ids) =>
  load(call, FlowVersion, ids, visibleFlowVersions(requirePrincipal(call)), ['definition'])

export const loadApiKeys: Load<ApiKey> = (call, ids) => load(call, ApiKey, ids, visibleApiKeys(requirePrincipal(call)))

export const loadExecutionLinks: Load<ExecutionLink> = (call, ids) =>
  load(call, ExecutionLink, ids, visibleExecutionLinks(requirePrincipal(call)))

/** Without what only verification reads. */
export type AuditEventHead = Omit<AuditEvent, 'mac'>

export const loadAuditEvents: Load<AuditEventHead> = (call, ids) =>
  load(call, AuditEvent, ids, visibleAuditEvents(requirePrincipal(call)), ['mac'])

export const loadSecurityEvents: Load<SecurityEvent> = (call, ids) =>
  load(call, SecurityEvent, ids, visibleAuditEvents(requirePrincipal(call)))

export const loadTriggers: Load<Trigger> = (call, ids) => load(call, Trigger, ids, visibleTriggers(requirePrincipal(call)))

export const loadWebhookDeliveries: Load<WebhookDelivery> = (call, ids) =>
  load(call, WebhookDelivery, ids, visibleWebhookDeliveries(requirePrincipal(call)))

export const loadSecrets: Load<Secret> = (call, ids) => load(call, Secret, ids, visibleSecrets(requirePrincipal(call)))

/** The newest version of each of these flows. */
export async function loadNewestVersions(
  call: Call,
  flows: readonly Pick<Flow, 'id' | 'latestNumber'>[],
): Promise<FlowVersionHead[]> {
  const newest = sql`select * from unnest(${flows.map(({ id }) => id)}::uuid[], ${flows.map((flow) => flow.latestNumber)}::integer[])`
  const found = await selectRows(call, FlowVersion, { where: sql`(t.flow_id, t.number) in (${newest})`, without: ['definition'] })
  noteRows(call, FlowVersion, found)
  const byFlow = new Map(found.map((version) => [`${version.flowId} ${version.number}`, version]))
  return flows.map(({ id, latestNumber }) => byFlow.get(`${id} ${latestNumber}`)!)
}

/** Definitions of flow versions that the caller was shown. */
export async function loadDefinitions(call: Call, versionIds: readonly string[]): Promise<(JsonObject | null)[]> {
  const rows = await call.services.database.query<{ id: string; definition: JsonObject }>(
    'select id, definition from sluice.flow_versions where id = any($1)',
    [versionIds],
  )
  const byId = new Map(rows.map(({ id, definition }) => [id, definition]))
  return versionIds.map((id) => byId.get(id) ?? null)
}

async function load<Row extends { id: string }, Without extends Exclude<keyof Row, 'id'> & string = never>(
  call: Call,
  entity: EntityClass<Row>,
  ids: readonly string[],
  visible: Condition,
  without: readonly Without[] = [],
): Promise<(Omit<Row, Without> | null)[]> {
  const rows = await selectRows(call, entity, { where: sql`t.id = any(${ids}) and ${visible}`, without })
  noteRows(call, entity, rows as unknown as Row[])
  const byId = new Map(rows.map((row) => [(row as unknown as { id: string }).id, row]))
  return ids.map((id) => byId.get(id) ?? null)
}
