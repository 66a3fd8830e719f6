/** Shares a flow: with people, roles, agent roles or everyone, each for an action (B4, C2). All of the list, or nothing. */
import { queryIn } from '../../database/database.ts'
import type { Flow } from '../../engine/entities/flow.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { putGrants } from '../../identity/flow-grants.ts'
import type { NewGrant } from '../../identity/flow-grants.ts'
import type { Role } from '../../identity/principal.ts'
import type { Call } from '../call.ts'
import { checkAgentRoles } from '../agent-requests/check-agent-roles.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import { findPeople } from '../people/find-people.ts'
import { LEVELS, requirePrincipal } from '../permissions.ts'
import type { FlowAction, Leveled } from '../permissions.ts'
import { changeSharing, MAX_AT_ONCE } from './share-flow.ts'

/** Exactly one of these; `user` is an id or a handle. */
export interface Grantee {
  user?: string | undefined
  role?: Role | undefined
  agentRole?: string | undefined
  everyone?: boolean | undefined
}

export interface GrantFlowAccess {
  /** UUID */
  flowId: string
  grants: readonly { to: Grantee; action: FlowAction }[]
}

const MAX_GRANTS = 1_000

/** The flow as it is afterwards. Problems: NOT_FOUND, VALIDATION (issues' paths lead into `grants`), LIMIT_REACHED. Throws FORBIDDEN. */
export async function grantFlowAccess(
  call: Call,
  { flowId, grants }: GrantFlowAccess,
): Promise<{ flow: Leveled<Flow> } | Problem> {
  requirePrincipal(call)
  return changeSharing(call, 'share', flowId, {
    read: () => readGrants(call, grants),
    async change(em, read) {
      await putGrants(em, flowId, requirePrincipal(call).actsAs, read)
      const [all] = await queryIn<{ n: number }>(em, 'select count(*)::integer as n from sluice.flow_grants where flow_id = $1', [
        flowId,
      ])
      if (all!.n > MAX_GRANTS) throw new TooManyGrants()
      return read
    },
  }).catch((error: unknown) => {
    if (!(error instanceof TooManyGrants)) throw error
    return problem('LIMIT_REACHED', { message: `A flow has at most ${MAX_GRANTS} grants; share it with a role.` })
  })
}

/** Undoes the transaction. */
class TooManyGrants extends Error {}

async function readGrants(call: Call, grants: GrantFlowAccess['grants']): Promise<NewGrant[] | Problem> {
  const check = new ArgumentCheck()
  if (grants.length < 1 || grants.length > MAX_AT_ONCE)
    check.add('INVALID_LENGTH', ['grants'], `It must have 1 to ${MAX_AT_ONCE} items.`)
  const people = await findPeople(
    call,
    grants.flatMap(({ to }) => to.user ?? []),
  )
  const read: NewGrant[] = []
  for (const [at, { to, action }] of grants.slice(0, MAX_AT_ONCE).entries()) {
    const path = ['grants', String(at), 'to']
    if (to.agentRole !== undefined) await checkAgentRoles(call, check, [...path, 'agentRole'], to.agentRole)
    const grantee = granteeOf(to, people)
    if (grantee === undefined) check.add('UNKNOWN_USER', [...path, 'user'], 'There is nobody of this name.')
    else if (read.some((other) => other.grantee === grantee)) check.add('DUPLICATE', path, 'It is named twice.')
    else read.push({ grantee, level: LEVELS[action] })
  }
  return check.problem ?? read
}

function granteeOf({ user, role, agentRole }: Grantee, people: ReadonlyMap<string, { id: string }>): string | undefined {
  if (user !== undefined) return people.has(user) ? `user:${people.get(user)!.id}` : undefined
  if (role !== undefined) return `role:${role}`
  return agentRole === undefined ? 'everyone' : `agent:${agentRole}`
}
