/** Who asks: the verified result of a token, as everything above identity sees it. */
import { canonicalJson } from '../canonical-json.ts'
import type { Role } from '../language/roles.ts'
import type { AuthSubject } from './auth-changes.ts'

export { ROLES } from '../language/roles.ts'
export type { Role }

/** What a key may be allowed at most; whoever owns it must be allowed it too (B9). */
export const SCOPES = [
  'FLOWS_READ',
  'FLOWS_WRITE',
  'FLOWS_SHARE',
  'EXECUTIONS_READ',
  'EXECUTIONS_WRITE',
  'REQUESTS_READ',
  'REQUESTS_ANSWER',
  'LINKS_WRITE',
  'AUDIT_READ',
] as const
export type Scope = (typeof SCOPES)[number]

/** What answers show again: whoever may write it may read it. */
const IMPLIED: Partial<Record<Scope, Scope>> = {
  FLOWS_WRITE: 'FLOWS_READ',
  FLOWS_SHARE: 'FLOWS_READ',
  EXECUTIONS_WRITE: 'EXECUTIONS_READ',
  REQUESTS_ANSWER: 'REQUESTS_READ',
  LINKS_WRITE: 'EXECUTIONS_READ',
}

/** These, and what they imply. */
export const scopesOf = (given: readonly Scope[]): ReadonlySet<Scope> =>
  new Set(given.flatMap((scope) => [scope, IMPLIED[scope] ?? scope]))

interface AnyPrincipal {
  /** what the audit log names: the UUID of the user, the key or the link */
  readonly id: string
  /** The UUID that its flows and executions belong to, and that limits count by: a service key's is its owner's. */
  readonly actsAs: string
  readonly role: Role
  /** ms since 1970: the end of the token */
  readonly expiresAt: number
}

/** A person who signed in. */
export interface UserPrincipal extends AnyPrincipal {
  readonly kind: 'USER'
  /** as in `owner/flow`; never an e-mail */
  readonly handle: string
  readonly sessionId: string
}

/** A program with a key of a user: it acts as that user, as far as its scopes and its role let it. */
export interface KeyPrincipal extends AnyPrincipal {
  readonly kind: 'API_KEY'
  /** the user whose key it is */
  readonly ownerId: string
  readonly scopes: ReadonlySet<Scope>
}

/** An agent: a key bound to agent roles (A2). It is nobody's proxy: it may do what is granted to its roles. */
export interface AgentPrincipal extends AnyPrincipal {
  readonly kind: 'AGENT'
  /** the administrator whose key it is */
  readonly ownerId: string
  readonly role: 'VIEWER'
  readonly agentRoles: readonly string[]
  readonly scopes: ReadonlySet<Scope>
}

/** Whoever holds a capability link: it reads one execution, or answers what it asks, as far as whoever made the link may. */
export interface LinkPrincipal extends AnyPrincipal {
  readonly kind: 'LINK'
  readonly role: 'VIEWER'
  readonly executionId: string
  readonly may: 'READ' | 'ANSWER'
  /** whoever made it, as they are now */
  readonly issuer: { readonly id: string; readonly role: Role }
}

export type Principal = UserPrincipal | KeyPrincipal | AgentPrincipal | LinkPrincipal

/**
 * EXPIRED: it was good, come back with a new one (close code 4403). INVALID: never one of ours; REVOKED: its session
 * or user is no more (for keys and links the same; both 4401, both UNAUTHENTICATED: the difference is for the log, not for the caller).
 */
export type Authentication = { ok: true; principal: Principal } | { ok: false; reason: 'EXPIRED' | 'INVALID' | 'REVOKED' }

/** What the principal stands on: when one of these changes, it must be looked at again. */
export function subjectsOf(principal: Principal): AuthSubject[] {
  switch (principal.kind) {
    case 'USER':
      return [`user:${principal.id}`, `session:${principal.sessionId}`]
    case 'API_KEY':
    case 'AGENT':
      return [`key:${principal.id}`, `user:${principal.ownerId}`]
    case 'LINK':
      return [`link:${principal.id}`, `user:${principal.issuer.id}`]
  }
}

const LINK_SCOPES = { READ: scopesOf(['EXECUTIONS_READ', 'REQUESTS_READ']), ANSWER: scopesOf(['REQUESTS_ANSWER']) }

/** Whether this kind of thing may be done at all: people may what their role lets them, others no more than their scopes. */
export function isAllowed(principal: Principal, scope: Scope): boolean {
  if (principal.kind === 'USER') return true
  return (principal.kind === 'LINK' ? LINK_SCOPES[principal.may] : principal.scopes).has(scope)
}

/** Whoever has the same standing passes the same scopes, whoever it is. */
export function standingOf(principal: Principal): string {
  const { kind, role } = principal
  if (kind === 'USER') return `${kind} ${role}`
  return `${kind} ${kind === 'LINK' ? principal.may : [...principal.scopes].sort().join(' ')}`
}

/** Everything about a principal but its token: whoever has the same is shown the same. */
export function viewerKeyOf(principal: Principal): string {
  const scopes = 'scopes' in principal ? [...principal.scopes].sort() : []
  return canonicalJson({ ...principal, scopes, sessionId: null, expiresAt: null })
}
