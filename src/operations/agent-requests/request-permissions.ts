/**
 * Who sees and answers what steps ask, as conditions on `sluice.agent_requests` (permissions.ts has the rest).
 *
 *   questions to agents: seen with their execution, and by agents of the role that is asked, if that role has EXECUTE on the flow;
 *   answered by these agents, and by people with MANAGE on the flow.
 *   approvals: seen with their execution, and by the people who are named, or were handed a vote, if they have EXECUTE on the flow;
 *   voted on by these alone, whatever else they may: not by links, not by agents, and not by whoever started the execution or what
 *   it tries again, unless the definition lets them.
 */
import { sql } from 'kysely'
import { granteesOf, rightsOf } from '../../identity/grantees.ts'
import type { Rights } from '../../identity/grantees.ts'
import { isAllowed } from '../../identity/principal.ts'
import type { Principal } from '../../identity/principal.ts'
import { eachOf, EVERYWHERE } from '../page.ts'
import type { Way } from '../page.ts'
import {
  askerOf,
  EVERYTHING,
  executionsSeenWith,
  granted,
  levelOf,
  LEVELS,
  managedFlows,
  NOTHING,
  waysWith,
  within,
} from '../permissions.ts'
import type { Condition } from '../select-rows.ts'

/** What agents of these roles are asked, by flows that let that role answer. */
const askedOf = (agentRoles: readonly string[]): Condition =>
  sql`(t.role = any(${agentRoles}::text[]) and ${granted(sql`t.flow_id`, sql`array['agent:' || t.role]`, LEVELS.EXECUTE)})`

/** People and their keys: what `approver` may say of them. */
const approversLike = ({ actsAs, role }: Rights): Condition =>
  sql`array[${`user:${actsAs}`}, ${`role:${role}`}, 'handle:' || (select u.handle from sluice.users as u where u.id = ${actsAs})]`

/** Their flows are theirs to start: who may not, is asked nothing. */
export const mayBeAsked = (rights: Rights): Condition => sql`exists (
  select from (select t.flow_id) as asking cross join lateral
    (select ${levelOf(askerOf(rights))} as level from sluice.flows as t where t.id = asking.flow_id) as flow
  where flow.level >= ${LEVELS.EXECUTE})`

export const isNamed = (rights: Rights): Condition => sql`exists (
  select from sluice.approvers as named where named.request_id = t.id and named.approver = any(${approversLike(rights)}))`

const isPerson = ({ kind, role }: Rights): boolean => (kind === 'USER' || kind === 'API_KEY') && role !== 'VIEWER'

const approvalsOf = (rights: Rights): Condition =>
  isPerson(rights) ? sql`(t.kind = 'APPROVAL' and ${isNamed(rights)} and ${mayBeAsked(rights)})` : NOTHING

/** Nor does whose agent started it, nor who started what it tries again. */
export const isNotTheirOwn = ({ actsAs }: Rights): Condition => sql`(
  (select a.self_approval from sluice.approvals as a where a.request_id = t.id) or not exists (
    select from (select t.initiator_id as id
      union all select unnest(o.initiators) from sluice.execution_origins as o where o.execution_id = t.execution_id) as starting
    where starting.id = ${actsAs}
      or exists (select from sluice.api_keys as k where k.id = starting.id and k.owner_id = ${actsAs})))`

/** Their vote is still theirs. */
const hasVote = ({ actsAs }: Rights): Condition => sql`not exists (
  select from sluice.approvers as handed where handed.request_id = t.id and handed.delegated_by = ${actsAs})`

export function visibleAgentRequests(principal: Principal): Condition {
  const rights = rightsOf(principal)
  const seen = executionsSeenWith(rights)
  if (principal.kind === 'LINK')
    return within(principal, 'REQUESTS_READ', sql`(t.execution_id = ${principal.executionId} and ${seen})`)
  if (seen === EVERYTHING) return within(principal, 'REQUESTS_READ', seen)
  const asked = principal.kind === 'AGENT' ? askedOf(principal.agentRoles) : approvalsOf(rights)
  return within(principal, 'REQUESTS_READ', sql`(${seen} or ${asked})`)
}

/** The rule of `visibleAgentRequests` taken apart, each way once for each status: the indexes have it before the id. Of approvals less. */
export function waysToAgentRequests(principal: Principal, statuses: readonly string[]): Way[] {
  if (!isAllowed(principal, 'REQUESTS_READ')) return []
  if (principal.kind === 'LINK') return eachOf([{ ...EVERYWHERE, where: visibleAgentRequests(principal) }], 'status', statuses)
  const ways = eachOf(waysWith(principal), 'status', statuses)
  if (principal.role === 'ADMIN') return ways
  if (principal.kind !== 'AGENT') return [...ways, ...waysToApprovals(principal, statuses)]
  const asking = sql`(select flow_id, substr(grantee, 7) as role from sluice.flow_grants
    where grantee = any(${granteesOf(principal)}::text[]) and level >= ${LEVELS.EXECUTE}) as asking`
  return [
    ...ways,
    ...eachOf([{ from: asking, where: sql`t.flow_id = asking.flow_id and t.role = asking.role` }], 'status', statuses),
  ]
}

/** What is open, and what they voted on: not all that was ever asked of everybody like them. */
function waysToApprovals(rights: Rights, statuses: readonly string[]): Way[] {
  if (!isPerson(rights)) return []
  const open = sql`(select distinct named.request_id from sluice.approvers as named
    where named.approver = any(${approversLike(rights)}) and named.is_open) as named`
  const mine = sql`(select own.request_id from sluice.votes as own where own.voter_id = ${rights.actsAs}) as named`
  const others = statuses.filter((status) => status !== 'OPEN')
  const way = (from: Condition, of: readonly string[]): Way[] =>
    of.length === 0 ? [] : [{ from, where: sql`t.id = named.request_id and t.status = any(${of}) and ${mayBeAsked(rights)}` }]
  return [...way(open, statuses.includes('OPEN') ? ['OPEN'] : []), ...way(mine, others)]
}

/** Which of the visible ones the caller may answer, but for what the definition takes away. */
export function answerableRequests(principal: Principal): Condition {
  if (!isAllowed(principal, 'REQUESTS_ANSWER')) return NOTHING
  return sql`case when t.kind = 'APPROVAL' then ${approvable(principal)} else ${answerableQuestions(principal)} end`
}

function answerableQuestions(principal: Principal): Condition {
  if (principal.kind === 'AGENT') return askedOf(principal.agentRoles)
  const rights = rightsOf(principal)
  if (rights.role === 'ADMIN') return EVERYTHING
  return rights.role === 'VIEWER' ? NOTHING : sql`t.flow_id in ${managedFlows(askerOf(rights))}`
}

/** A link is whoever holds it, and nobody can tell who that is. */
function approvable(principal: Principal): Condition {
  if (principal.kind === 'LINK' || !isPerson(principal)) return NOTHING
  return sql`(${approvalsOf(principal)} and ${isNotTheirOwn(principal)} and ${hasVote(principal)})`
}
