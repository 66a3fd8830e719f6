/** Refusing what may be seen but not done: a fault for the caller, and a line in the audit log (A7). */
import { auditEntry } from '../audit/record-audit.ts'
import type { AuditFacts } from '../audit/record-audit.ts'
import { Fault } from '../errors.ts'
import { addressKey } from '../fleet/address-key.ts'
import type { Principal } from '../identity/principal.ts'
import type { Call } from './call.ts'
import { mayReadAudit, requirePrincipal } from './permissions.ts'

/** Whoever is refused: a caller, or somebody whose id was stored. */
export interface Refused extends Pick<Call, 'origin' | 'services'> {
  readonly principal?: Pick<Principal, 'kind' | 'id'>
}

/** Records `facts` (their type is `<noun>.refused`) and throws FORBIDDEN. */
export async function forbid(call: Refused, facts: AuditFacts): Promise<never> {
  await noteRefusal(call, { ...facts, errorCode: 'FORBIDDEN' })
  throw new Fault('FORBIDDEN')
}

/** For refusals that are answered as problems. */
export async function noteRefusal(call: Refused, facts: AuditFacts): Promise<void> {
  const subject = call.principal?.id ?? addressKey(call.origin.ip)
  await call.services.refusals.record(subject, auditEntry(call, { severity: 'NOTICE', success: false, ...facts }))
}

/** The administrator who asks. Throws FORBIDDEN for everybody else. */
export async function requireAuditReader(call: Call): Promise<Principal> {
  const principal = requirePrincipal(call)
  return mayReadAudit(principal) ? principal : forbid(call, { type: 'audit.readingRefused' })
}
