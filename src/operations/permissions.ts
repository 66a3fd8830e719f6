/**
 * Who may see and do what (B4): the one place of these rules. What may be seen is a condition of the query, so that only permitted
 * rows are ever loaded and "not visible" costs and answers the same as "not there".
 *
 *             flows                        executions                       agent requests
 *   ADMIN     everything                   everything                       everything
 *   USER      own: see, edit, start        own: see, control                seen with their execution
 *             public: see, start           of own flows: see                answered by the flow's owner
 *   VIEWER    sees what a USER would       sees what a USER would           sees what a USER would
 */
import { sql } from 'kysely'
import type { Execution } from '../engine/entities/execution.ts'
import type { Flow } from '../engine/entities/flow.ts'
import { Fault } from '../errors.ts'
import type { Principal, UserPrincipal } from '../identity/principal.ts'
import type { Call } from './call.ts'
import { EVERYWHERE } from './page.ts'
import type { Way } from './page.ts'
import type { Condition } from './select-rows.ts'

/** Who asks. Throws UNAUTHENTICATED for anonymous callers, who may do nothing (C1). */
export function requirePrincipal(call: Call): Principal {
  if (!call.principal) throw new Fault('UNAUTHENTICATED')
  return call.principal
}

/** The same for what only people may do. Throws FORBIDDEN for keys, agents and links. */
export function requirePerson(call: Call): UserPrincipal {
  const principal = requirePrincipal(call)
  if (principal.kind !== 'USER') throw new Fault('FORBIDDEN')
  return principal
}

const EVERYTHING = sql`true`
const NOTHING = sql`false`

/** A condition on `sluice.flows`. */
export function visibleFlows(principal: Principal): Condition {
  if (principal.role === 'ADMIN') return EVERYTHING
  return visibleFlowsOf(sql`${principal.id}`)
}

/** The same for whoever is not ADMIN; `principalId` may be a column, where many ask in one statement. */
export const visibleFlowsOf = (principalId: Condition): Condition => sql`(t.visibility = 'PUBLIC' or t.owner_id = ${principalId})`

/** A condition on `sluice.flow_versions`: seen with their flow. */
export function visibleFlowVersions(principal: Principal): Condition {
  if (principal.role === 'ADMIN') return EVERYTHING
  return sql`t.flow_id in (select t.id from sluice.flows as t where ${visibleFlows(principal)})`
}

/** A condition on `sluice.executions`, and on `sluice.agent_requests`, which are seen with their execution. */
export function visibleExecutions(principal: Principal): Condition {
  if (principal.role === 'ADMIN') return EVERYTHING
  return sql`(t.initiator_id = ${principal.id} or t.flow_id in ${ownFlows(principal)})`
}

/**
 * The rule of `visibleExecutions` taken apart into ways that each walk an index: a list is the union of their pages.
 * (One `or` would walk the whole table when little of it is visible.)
 */
export function waysToExecutions(principal: Principal): readonly Way[] {
  if (principal.role === 'ADMIN') return [EVERYWHERE]
  return [
    { ...EVERYWHERE, where: sql`t.initiator_id = ${principal.id}` },
    { from: sql`${ownFlows(principal)} as own`, where: sql`t.flow_id = own.id` },
  ]
}

/** `visibleFlows`, taken apart alike. */
export function waysToFlows(principal: Principal): readonly Way[] {
  if (principal.role === 'ADMIN') return [EVERYWHERE]
  return [
    { ...EVERYWHERE, where: sql`t.owner_id = ${principal.id}` },
    { ...EVERYWHERE, where: sql`t.visibility = 'PUBLIC'` },
  ]
}

const ownFlows = (principal: Principal) => sql`(select id from sluice.flows where owner_id = ${principal.id})`

/** A condition on `sluice.audit_events`. */
export const visibleAuditEvents = (principal: Principal): Condition => (mayReadAudit(principal) ? EVERYTHING : NOTHING)

export const mayCreateFlows = (principal: Principal): boolean => principal.role !== 'VIEWER'

export const mayEditFlow = (principal: Principal, flow: Pick<Flow, 'ownerId'>): boolean =>
  principal.role === 'ADMIN' || (principal.role === 'USER' && flow.ownerId === principal.id)

/** Of a flow that is visible. */
export const mayStartExecutions = (principal: Principal): boolean => principal.role !== 'VIEWER'

/** Cancel, pause, resume. */
export const mayControlExecution = (principal: Principal, execution: Pick<Execution, 'initiatorId'>): boolean =>
  principal.role === 'ADMIN' || (principal.role === 'USER' && execution.initiatorId === principal.id)

/** `flow`: the one whose execution asks. Agents are not principals yet; until then its owner speaks for them. */
export const mayAnswerAgentRequest = (principal: Principal, flow: Pick<Flow, 'ownerId'> | undefined): boolean =>
  principal.role === 'ADMIN' || (principal.role === 'USER' && flow?.ownerId === principal.id)

export const mayReadAudit = (principal: Principal): boolean => principal.role === 'ADMIN'

export const mayManageUsers = (principal: UserPrincipal): boolean => principal.role === 'ADMIN'
