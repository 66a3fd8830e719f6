/** Whose rights count when somebody asks, and every grantee (`sluice.flow_grants`) that they are. */
import { ANY_RIGHTS } from './auth-changes.ts'
import type { AuthSubject } from './auth-changes.ts'
import type { Principal } from './principal.ts'

/** Those of the caller, or of whoever made its link. */
export type Rights = Pick<Principal, 'kind' | 'actsAs' | 'role'> & { agentRoles?: readonly string[] }

export const rightsOf = (principal: Principal): Rights =>
  principal.kind === 'LINK' ? { kind: 'USER', actsAs: principal.issuer.id, role: principal.issuer.role } : principal

export function granteesOf({ kind, actsAs, role, agentRoles = [] }: Rights): string[] {
  return kind === 'AGENT' ? agentRoles.map((name) => `agent:${name}`) : [`user:${actsAs}`, `role:${role}`, 'everyone']
}

/** What is told when what the principal may do on some flow may have changed. */
export const rightsSubjectsOf = (principal: Principal): AuthSubject[] => [
  ...granteesOf(rightsOf(principal)).map((grantee): AuthSubject => `rights:${grantee}`),
  ANY_RIGHTS,
]
