/** Every object that several nouns name. They live here, since noun files that import each other end in `any`. */
import type { SecurityEvent as SecurityEventRow } from '../audit/entities/security-event.ts'
import type { Execution as ExecutionRow } from '../engine/entities/execution.ts'
import type { Flow as FlowRow } from '../engine/entities/flow.ts'
import type { ApiKey as ApiKeyRow } from '../identity/entities/api-key.ts'
import type { ExecutionLink as ExecutionLinkRow } from '../identity/entities/execution-link.ts'
import type { Secret as SecretRow } from '../identity/entities/secret.ts'
import type { Trigger as TriggerRow } from '../triggers/entities/trigger.ts'
import type { WebhookDelivery as WebhookDeliveryRow } from '../triggers/entities/webhook-delivery.ts'
import {
  loadAgentRequests,
  loadApiKeys,
  loadAuditEvents,
  loadExecutionLinks,
  loadExecutions,
  loadFlows,
  loadFlowVersions,
  loadSecrets,
  loadSecurityEvents,
  loadTriggers,
  loadWebhookDeliveries,
} from '../operations/load-by-id.ts'
import type { AgentRequestHead, AuditEventHead, FlowVersionHead } from '../operations/load-by-id.ts'
import type { EventRow } from '../operations/executions/read-events.ts'
import type { Firing } from '../operations/triggers/read-schedules.ts'
import type { StepView } from '../operations/executions/read-steps.ts'
import type { Schedule as ScheduleRow } from '../triggers/schedule.ts'
import { builder } from './builder.ts'

// Loadable: a field may answer a UUID, and all UUIDs of an operation are read at once, as far as the caller may see them.

export const Flow = builder.loadableNodeRef<FlowRow | null, string, string, string, FlowRow>('Flow', {
  id: { resolve: (flow) => flow.id },
  load: (ids: string[], call) => loadFlows(call, ids),
})

export const FlowVersion = builder.loadableNodeRef('FlowVersion', {
  id: { resolve: (version: FlowVersionHead) => version.id },
  load: (ids: string[], call) => loadFlowVersions(call, ids) as Promise<FlowVersionHead[]>,
})

export const Execution = builder.loadableNodeRef('Execution', {
  id: { resolve: (execution: ExecutionRow) => execution.id },
  load: (ids: string[], call) => loadExecutions(call, ids) as Promise<ExecutionRow[]>,
})

export const AgentRequest = builder.loadableNodeRef('AgentRequest', {
  id: { resolve: (request: AgentRequestHead) => request.id },
  load: (ids: string[], call) => loadAgentRequests(call, ids) as Promise<AgentRequestHead[]>,
})

export const AuditEvent = builder.loadableNodeRef('AuditEvent', {
  id: { resolve: (event: AuditEventHead) => event.id },
  load: (ids: string[], call) => loadAuditEvents(call, ids) as Promise<AuditEventHead[]>,
})

export const SecurityEvent = builder.loadableNodeRef('SecurityEvent', {
  id: { resolve: (event: SecurityEventRow) => event.id },
  load: (ids: string[], call) => loadSecurityEvents(call, ids) as Promise<SecurityEventRow[]>,
})

export const Trigger = builder.loadableNodeRef('Trigger', {
  id: { resolve: (trigger: TriggerRow) => trigger.id },
  load: (ids: string[], call) => loadTriggers(call, ids) as Promise<TriggerRow[]>,
})

export const WebhookDelivery = builder.loadableNodeRef('WebhookDelivery', {
  id: { resolve: (delivery: WebhookDeliveryRow) => delivery.id },
  load: (ids: string[], call) => loadWebhookDeliveries(call, ids) as Promise<WebhookDeliveryRow[]>,
})

export const ApiKey = builder.loadableNodeRef('ApiKey', {
  id: { resolve: (key: ApiKeyRow) => key.id },
  load: (ids: string[], call) => loadApiKeys(call, ids) as Promise<ApiKeyRow[]>,
})

export const ExecutionLink = builder.loadableNodeRef('ExecutionLink', {
  id: { resolve: (link: ExecutionLinkRow) => link.id },
  load: (ids: string[], call) => loadExecutionLinks(call, ids) as Promise<ExecutionLinkRow[]>,
})

export const Secret = builder.loadableNodeRef('Secret', {
  id: { resolve: (secret: SecretRow) => secret.id },
  load: (ids: string[], call) => loadSecrets(call, ids) as Promise<SecretRow[]>,
})

export const Schedule = builder.objectRef<ScheduleRow>('Schedule')
export const ScheduleFiring = builder.objectRef<Firing>('ScheduleFiring')
export const StepRun = builder.objectRef<StepView>('StepRun')
export const ExecutionEvent = builder.objectRef<EventRow>('ExecutionEvent')
