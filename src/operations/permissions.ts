/**
 * Who may see and do what (B4, C1, C2): the one place of these rules. What may be seen is a condition of the query, so that only
 * permitted rows are ever loaded and "not visible" costs and answers the same as "not there". docs/permissions.md tells it to people.
 *
 *   on a flow     nobody's    PUBLIC flow   VIEW    EXECUTE   EDIT    MANAGE   its owner, ADMIN
 *   see it        -           people        yes     yes       yes     yes      yes
 *   start it      -           people        -       yes       yes     yes      yes
 *   publish       -           -             -       -         yes     yes      yes
 *   share, narrow -           -             -       -         -       yes      yes
 *   give it away  -           -             -       -         -       -        yes
 *
 *   executions: seen by their initiator, and by whoever has MANAGE on their flow; canceled, paused and resumed by their initiator.
 *   signaled by their initiator too, and by whoever has MANAGE on the flow. Agent requests: request-permissions.ts.
 *
 * A grant is for a user, a role, an agent role or everyone (people; agents only by their roles: deny by default). VIEWER only sees,
 * whatever is granted. A key acts as its owner, cut down to its role and its scopes; a link as whoever made it, cut down to reading
 * one execution or answering what it asks. `permissions` in a definition only takes away: who may start it, which agents answer.
 */
import { sql } from 'kysely'
import type { Execution } from '../engine/entities/execution.ts'
import { Fault } from '../errors.ts'
import { granteesOf, rightsOf } from '../identity/grantees.ts'
import type { Rights } from '../identity/grantees.ts'
import { isAllowed } from '../identity/principal.ts'
import type { LinkPrincipal, Principal, Scope, UserPrincipal } from '../identity/principal.ts'
import type { Program } from '../language/program.ts'
import type { Call } from './call.ts'
import { EVERYWHERE } from './page.ts'
import type { Way } from './page.ts'
import type { Condition } from './select-rows.ts'

/** Who asks. Throws UNAUTHENTICATED for anonymous callers, who may do nothing (C1). */
export function requirePrincipal(call: Call): Principal {
  if (!call.principal) throw new Fault('UNAUTHENTICATED')
  return call.principal
}

/** The person who asks. Throws UNAUTHENTICATED for anonymous callers, and FORBIDDEN for keys, agents and links. */
export function requirePerson(call: Call): UserPrincipal {
  const principal = requirePrincipal(call)
  if (principal.kind !== 'USER') throw new Fault('FORBIDDEN')
  return principal
}

/** What can be granted on a flow; each holds what is below it. */
export const LEVELS = { VIEW: 1, EXECUTE: 2, EDIT: 3, MANAGE: 4 } as const
export type FlowAction = keyof typeof LEVELS
const OWNER = 5
/** The name of a level that was granted. */
export const actionOf = (level: number): FlowAction =>
  (Object.keys(LEVELS) as FlowAction[]).find((action) => LEVELS[action] === level) ?? 'VIEW'

/** A flow with what the caller may do on it: a number of LEVELS, or 5 for its owner and administrators. */
export type Leveled<Row> = Row & { level: number }

export const EVERYTHING = sql`true`
export const NOTHING = sql`false`

/** Whoever asks, for SQL: constants, or columns where many ask in one statement. */
export interface Asker {
  /** boolean */
  isAdmin: Condition
  /** uuid */
  actsAs: Condition
  /** text[]: every grantee (`sluice.flow_grants`) that it is */
  grantees: Condition
  /** boolean: public flows are for people and their keys */
  isPerson: Condition
}

export const askerOf = (rights: Rights): Asker => ({
  isAdmin: sql`${rights.role === 'ADMIN'}::boolean`,
  actsAs: sql`${rights.actsAs}::uuid`,
  grantees: sql`${granteesOf(rights)}::text[]`,
  isPerson: sql`${rights.kind !== 'AGENT'}::boolean`,
})

export const granted = (flowId: Condition, grantees: Condition, least: number): Condition =>
  sql`exists (select from sluice.flow_grants as g where g.flow_id = ${flowId} and g.grantee = any(${grantees}) and g.level >= ${least})`

/** A condition on `sluice.flows` for whoever is not ADMIN. */
const flowsSeenBy = ({ actsAs, grantees, isPerson }: Asker): Condition =>
  sql`((t.visibility = 'PUBLIC' and ${isPerson}) or t.owner_id = ${actsAs} or ${granted(sql`t.id`, grantees, LEVELS.VIEW)})`

/** The same with administrators, where many ask in one statement. */
export const flowsSeenByEach = (asker: Asker): Condition => sql`(${asker.isAdmin} or ${flowsSeenBy(asker)})`

/** What the asker may do on the flow `t`: 0 to 5. */
export const levelOf = ({ isAdmin, actsAs, grantees, isPerson }: Asker): Condition => sql`
  case when ${isAdmin} or t.owner_id = ${actsAs} then ${OWNER}::integer else greatest(
    case when t.visibility = 'PUBLIC' and ${isPerson} then ${LEVELS.EXECUTE}::integer else 0 end,
    (select max(g.level) from sluice.flow_grants as g where g.flow_id = t.id and g.grantee = any(${grantees}))) end`

/** The column `level` of a flow, for `also`. */
export const withLevel = (principal: Principal): Condition => sql`, ${levelOf(askerOf(rightsOf(principal)))} as level`

/** A condition on `sluice.flows`, whatever the caller's scopes are. */
const ownSight = (principal: Principal): Condition => {
  if (principal.kind === 'LINK') return NOTHING
  return principal.role === 'ADMIN' ? EVERYTHING : flowsSeenBy(askerOf(principal))
}

export const within = (principal: Principal, scope: Scope, condition: Condition): Condition =>
  isAllowed(principal, scope) ? condition : NOTHING

/** A condition on `sluice.flows`. */
export const visibleFlows = (principal: Principal): Condition => within(principal, 'FLOWS_READ', ownSight(principal))

/** A condition on `sluice.flow_versions`: seen with their flow. */
export function visibleFlowVersions(principal: Principal): Condition {
  const visible = visibleFlows(principal)
  return visible === EVERYTHING ? visible : sql`t.flow_id in (select t.id from sluice.flows as t where ${visible})`
}

/** A condition on `sluice.triggers`: the same, while their flow has them. */
export const visibleTriggers = (principal: Principal): Condition =>
  sql`(t.removed_at is null and ${visibleFlowVersions(principal)})`

/** A condition on `sluice.webhook_deliveries`: for whoever has MANAGE on the flow, and administrators. */
export function visibleWebhookDeliveries(principal: Principal): Condition {
  if (principal.kind === 'LINK' || !isAllowed(principal, 'FLOWS_READ')) return NOTHING
  return principal.role === 'ADMIN' ? EVERYTHING : sql`t.flow_id in ${managedFlows(askerOf(principal))}`
}

/** `visibleFlows` taken apart into ways that each walk an index: a list is the union of their pages. (One `or` would walk the whole table when little of it is visible.) */
export function waysToFlows(principal: Principal): readonly Way[] {
  if (!isAllowed(principal, 'FLOWS_READ') || principal.kind === 'LINK') return []
  if (principal.role === 'ADMIN') return [EVERYWHERE]
  const { actsAs, grantees } = askerOf(principal)
  return [
    { ...EVERYWHERE, where: sql`t.owner_id = ${actsAs}` },
    {
      from: sql`(select flow_id from sluice.flow_grants where grantee = any(${grantees})) as shared`,
      where: sql`t.id = shared.flow_id`,
    },
    ...(principal.kind === 'AGENT' ? [] : [{ ...EVERYWHERE, where: sql`t.visibility = 'PUBLIC'` }]),
  ]
}

/** Flows whose executions the asker sees: its own, and those that it manages. */
export const managedFlows = ({ actsAs, grantees }: Asker): Condition => sql`(
  select id from sluice.flows where owner_id = ${actsAs}
  union select flow_id from sluice.flow_grants where grantee = any(${grantees}) and level = ${sql.lit(LEVELS.MANAGE)})`

/** A condition on what has `initiator_id` and `flow_id`: executions, and agent requests. */
export function executionsSeenWith(rights: Rights): Condition {
  if (rights.role === 'ADMIN') return EVERYTHING
  const asker = askerOf(rights)
  return sql`(t.initiator_id = ${asker.actsAs} or t.flow_id in ${managedFlows(asker)})`
}

export function waysWith(rights: Rights): Way[] {
  if (rights.role === 'ADMIN') return [EVERYWHERE]
  const asker = askerOf(rights)
  return [
    { ...EVERYWHERE, where: sql`t.initiator_id = ${asker.actsAs}` },
    { from: sql`${managedFlows(asker)} as managed`, where: sql`t.flow_id = managed.id` },
  ]
}

/** A condition on `sluice.executions`. */
export function visibleExecutions(principal: Principal): Condition {
  const seen = executionsSeenWith(rightsOf(principal))
  const visible = principal.kind === 'LINK' ? sql`(t.id = ${principal.executionId} and ${seen})` : seen
  return within(principal, 'EXECUTIONS_READ', visible)
}

/** The same for many who ask in one statement, each of one execution `t`: as far as `mayAskFor` lets them. */
export const executionsSeenByEach = ({ isAdmin, actsAs, grantees }: Asker): Condition => sql`(
  ${isAdmin} or t.initiator_id = ${actsAs} or ${granted(sql`t.flow_id`, grantees, LEVELS.MANAGE)}
  or exists (select from sluice.flows as f where f.id = t.flow_id and f.owner_id = ${actsAs}))`

export const mayAskFor = (principal: Principal, executionId: string): boolean =>
  isAllowed(principal, 'EXECUTIONS_READ') && (principal.kind !== 'LINK' || principal.executionId === executionId)

/** The rule of `visibleExecutions` taken apart. */
export function waysToExecutions(principal: Principal): readonly Way[] {
  if (!isAllowed(principal, 'EXECUTIONS_READ')) return []
  if (principal.kind === 'LINK') return [{ ...EVERYWHERE, where: visibleExecutions(principal) }]
  return waysWith(principal)
}

/** A condition on `sluice.audit_events`, and on `sluice.security_events`. */
export const visibleAuditEvents = (principal: Principal): Condition => (mayReadAudit(principal) ? EVERYTHING : NOTHING)

/** A condition on `sluice.secrets`: one's own, for people alone; not even administrators see those of others. */
export const visibleSecrets = (principal: Principal): Condition =>
  principal.kind === 'USER' ? sql`t.owner_id = ${principal.id}` : NOTHING

export const mayWriteSecrets = (principal: Principal): boolean => principal.kind === 'USER' && principal.role !== 'VIEWER'

export const mayCreateFlows = (principal: Principal): boolean =>
  principal.role !== 'VIEWER' && isAllowed(principal, 'FLOWS_WRITE')

/** What starts a flow starts it for whoever publishes it: a key cannot have started later what it may not start now. */
export const mayPublishTriggers = (principal: Principal): boolean => isAllowed(principal, 'EXECUTIONS_WRITE')

/** Whether the caller may do this on a flow that it has this level on. VIEWER only sees; agents have no role, only grants. */
export function mayOnFlow(
  principal: Pick<Principal, 'kind' | 'role'>,
  action: FlowAction | 'OWN',
  { level }: { level: number },
): boolean {
  if (principal.kind === 'LINK') return false
  const most = principal.kind !== 'AGENT' && principal.role === 'VIEWER' ? LEVELS.VIEW : OWNER
  return Math.min(level, most) >= (action === 'OWN' ? OWNER : LEVELS[action])
}

/** Read what is masked: its owner and administrators, in person. */
export const mayUnmask = (who: Principal, flow: { level: number }): boolean => who.kind === 'USER' && mayOnFlow(who, 'OWN', flow)

/** `EXECUTE` on the flow, as far as the definition does not take it away (C2). */
export const mayStartExecutions = (principal: Rights, flow: { level: number }, program: Pick<Program, 'permissions'>): boolean =>
  mayOnFlow(principal, 'EXECUTE', flow) && isLeftBy(program.permissions, principal)

/** A definition lets administrators and the owner through only if it names their role, like anybody else. */
export function isLeftBy(permissions: Program['permissions'], { kind, role, ...principal }: Rights): boolean {
  const { roles, agents } = permissions ?? {}
  if (kind !== 'AGENT') return roles === undefined || roles.includes(role)
  return agents === undefined || (principal.agentRoles ?? []).some((name) => agents.includes(name))
}

/** Cancel, pause, resume: of an execution that is visible. */
export const mayControlExecution = (principal: Principal, execution: Pick<Execution, 'initiatorId'>): boolean => {
  if (principal.kind === 'LINK' || !isAllowed(principal, 'EXECUTIONS_WRITE')) return false
  if (principal.role === 'ADMIN') return true
  return (principal.kind === 'AGENT' || principal.role === 'USER') && execution.initiatorId === principal.actsAs
}

/** The executions that `mayControlExecution` lets the caller control. */
export function waysToControlled(principal: Principal): readonly Way[] {
  if (!mayControlExecution(principal, { initiatorId: principal.actsAs })) return []
  return principal.role === 'ADMIN' ? [EVERYWHERE] : [{ ...EVERYWHERE, where: sql`t.initiator_id = ${principal.actsAs}` }]
}

/** Tell a visible execution something: whoever may control it, and whoever has MANAGE on its flow. */
export const maySignalExecution = (
  principal: Principal,
  execution: Pick<Execution, 'initiatorId'>,
  flow: { level: number },
): boolean =>
  mayControlExecution(principal, execution) || (isAllowed(principal, 'EXECUTIONS_WRITE') && mayOnFlow(principal, 'MANAGE', flow))

export const mayReadAudit = (principal: Principal): boolean => principal.role === 'ADMIN' && isAllowed(principal, 'AUDIT_READ')

export const mayManageUsers = (principal: UserPrincipal): boolean => principal.role === 'ADMIN'

/** A condition on `sluice.api_keys`: seen by their owners and administrators, and ended by whoever sees them. No key sees any. */
export function visibleApiKeys(principal: Principal): Condition {
  if (principal.kind !== 'USER') return NOTHING
  return principal.role === 'ADMIN' ? EVERYTHING : sql`t.owner_id = ${principal.id}`
}

export const waysToApiKeys = (principal: Principal): readonly Way[] => [{ ...EVERYWHERE, where: visibleApiKeys(principal) }]

/** A condition on `sluice.execution_links`: seen and ended by whoever made them, whoever has MANAGE on the flow, and administrators. */
export function visibleExecutionLinks(principal: Principal): Condition {
  if (principal.kind === 'AGENT' || !isAllowed(principal, 'LINKS_WRITE')) return NOTHING
  if (principal.role === 'ADMIN') return EVERYTHING
  return sql`(t.issuer_id = ${principal.actsAs} or t.flow_id in ${managedFlows(askerOf(principal))})`
}

/** What a link lends its maker must have, now and whenever the link is used. */
export function mayLink(principal: Principal, may: LinkPrincipal['may'], flow: { level: number }): boolean {
  if (principal.kind === 'AGENT' || principal.role === 'VIEWER') return false
  return may === 'READ' || (isAllowed(principal, 'REQUESTS_ANSWER') && mayOnFlow(principal, 'MANAGE', flow))
}
