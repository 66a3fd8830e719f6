/** What an audit event says, before it is a row: who did what to what, and how it ended (C7). Never contents, never secrets. */

import { canonicalJson } from '../canonical-json.ts'
import type { AuditKeys } from './audit-keys.ts'

export const SEVERITIES = ['INFO', 'NOTICE', 'WARNING', 'CRITICAL'] as const
export type Severity = (typeof SEVERITIES)[number]

export const ACTOR_KINDS = ['USER', 'API_KEY', 'AGENT', 'LINK', 'SYSTEM', 'ANONYMOUS'] as const
/** What kind of principal did it. */
export type ActorKind = (typeof ACTOR_KINDS)[number]

/** Where a request came from; undefined for what the server does by itself. */
export interface Origin {
  ip?: string
  userAgent?: string
}

export interface AuditEntry {
  id: string
  /** dotted, noun first: `flow.created`, `execution.finished`, `signIn.refused` */
  type: string
  severity: Severity
  /** ISO 8601, database time */
  at: string
  actorKind: ActorKind
  actorId?: string
  flowId?: string
  executionId?: string
  success: boolean
  durationMs?: number
  tokens?: number
  errorCode?: string
  metadata?: Record<string, unknown>
  ip?: string
  userAgent?: string
  /** makes the row's signature when it is written; comes with the entry from whoever begins it */
  sign: AuditKeys['sign']
}

/** What a row says, however it was read; null and undefined are one. */
export type AuditContent = { [Column in keyof Omit<AuditEntry, 'sign'>]: AuditEntry[Column] | null | undefined }

/** The text that is signed: the same for an entry and for the row that it became. */
export function signedText(row: AuditContent): string {
  const { id, at, type, severity, actorKind, actorId, flowId, executionId, success, durationMs, tokens, errorCode } = row
  return JSON.stringify([
    ...[1, id, at, type, severity, actorKind, actorId ?? null, flowId ?? null, executionId ?? null, success],
    ...[durationMs ?? null, tokens ?? null, errorCode ?? null, row.metadata ? canonicalJson(row.metadata) : null],
    ...[row.ip ?? null, row.userAgent ?? null],
  ])
}

export const signatureOf = (entry: AuditEntry): Buffer => entry.sign(signedText(entry))
