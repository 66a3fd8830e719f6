/** Building an audit entry from whoever asks, and writing it in the transaction it tells of. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { newUuid } from '../ids.ts'
import { signatureOf } from './audit-entry.ts'
import type { AuditEntry, Origin } from './audit-entry.ts'
import type { AuditKeys } from './audit-keys.ts'

/** What a caller sends about itself is kept to a line. */
const USER_AGENT_LENGTH = 256

export interface Actor {
  readonly kind: AuditEntry['actorKind']
  readonly id?: string
}

/** Who did it, from where, and the clock that says when: a use case's `Call` is one. */
export interface Asker {
  readonly principal?: Actor
  readonly origin: Origin
  readonly services: { readonly database: { readonly clock: { now(): number } }; readonly auditKeys: Pick<AuditKeys, 'sign'> }
}

/** What happened: everything but who, where and when. */
export type AuditFacts = Pick<AuditEntry, 'type'> &
  Partial<
    Pick<AuditEntry, 'severity' | 'success' | 'flowId' | 'executionId' | 'durationMs' | 'tokens' | 'errorCode' | 'metadata'>
  >

/** An entry by the caller: a success of severity INFO unless told otherwise. `actor` is given where the call does not know it yet. */
export function auditEntry(call: Asker, facts: AuditFacts, actor: Actor = call.principal ?? { kind: 'ANONYMOUS' }): AuditEntry {
  const { ip, userAgent } = call.origin
  return {
    id: newUuid(),
    at: new Date(call.services.database.clock.now()).toISOString(),
    severity: 'INFO',
    success: true,
    actorKind: actor.kind,
    actorId: actor.id,
    ip: ip && storable(ip),
    userAgent: userAgent && storable(userAgent.slice(0, USER_AGENT_LENGTH)),
    ...facts,
    metadata: facts.metadata && (storableDeep(facts.metadata) as Record<string, unknown>),
    sign: (text) => call.services.auditKeys.sign(text),
  }
}

/** Without what PostgreSQL cannot store (NUL, halves of surrogate pairs): no caller can spoil the transaction by what it sends. */
export const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '')

function storableDeep(value: unknown): unknown {
  const text = JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'string' ? storable(inner) : inner))
  return JSON.parse(text)
}

/** Inserts the entries in `em`'s transaction. Not through the unit of work: values are bound, and no read is spent on them. */
export async function recordAudit(em: EntityManager, ...entries: AuditEntry[]): Promise<void> {
  if (entries.length === 0) return
  await em.getKysely<AuditTable>().insertInto('sluice.audit_events').values(entries.map(row)).execute()
}

interface AuditTable {
  'sluice.audit_events': ReturnType<typeof row>
}

function row(entry: AuditEntry) {
  return {
    id: entry.id,
    at: entry.at,
    type: entry.type,
    severity: entry.severity,
    actor_kind: entry.actorKind,
    actor_id: entry.actorId ?? null,
    flow_id: entry.flowId ?? null,
    execution_id: entry.executionId ?? null,
    success: entry.success,
    duration_ms: entry.durationMs ?? null,
    tokens: entry.tokens ?? null,
    error_code: entry.errorCode ?? null,
    metadata: entry.metadata ? JSON.stringify(entry.metadata) : null,
    ip: entry.ip ?? null,
    user_agent: entry.userAgent ?? null,
    mac: signatureOf(entry),
  }
}
