/** What a refusal says to the detectors: of which kind it is, and whom it is about. Pure. */
import { decodeId } from '../ids.ts'
import type { AuditEntry } from './audit-entry.ts'
import type { SecurityKind, Subject } from './security-kinds.ts'

export interface Signal {
  readonly kind: SecurityKind
  readonly subjects: readonly Subject[]
}

/** Refusals of who asks for a session or a password; what they say about limits is about guessing too. */
const SIGN_IN = new Set(['signIn.refused', 'password.changeRefused', 'password.resetRefused'])
const LIMITED = new Set(['RATE_LIMITED', 'LIMIT_REACHED', 'TOO_COMPLEX'])

/** `address`: the caller's, as limits count it. */
export function signalOf(entry: AuditEntry, address: string): Signal {
  const from: Subject = { kind: 'ADDRESS', id: address }
  if (SIGN_IN.has(entry.type)) return { kind: 'SIGN_IN_FAILURES', subjects: [from, ...accountOf(entry)] }
  const actor = actorOf(entry) ?? from
  if (LIMITED.has(entry.errorCode ?? '')) return { kind: 'LIMITS_REACHED', subjects: [actor] }
  const wrong = entry.errorCode === 'UNAUTHENTICATED' && (entry.type === 'request.refused' || entry.type === 'session.refused')
  return wrong ? { kind: 'WRONG_TOKENS', subjects: [from] } : { kind: 'REFUSALS', subjects: [actor] }
}

function accountOf({ metadata, actorId }: AuditEntry): Subject[] {
  const named = metadata?.['userId']
  const id = typeof named === 'string' ? decodeId('user', named) : actorId
  return id === undefined ? [] : [{ kind: 'USER', id }]
}

function actorOf({ actorKind, actorId }: AuditEntry): Subject | undefined {
  if (actorId === undefined || actorKind === 'ANONYMOUS' || actorKind === 'SYSTEM') return undefined
  return { kind: actorKind, id: actorId }
}
