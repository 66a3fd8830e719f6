/** What an audit event says, before it is a row: who did what to what, and how it ended (C7). Never contents, never secrets. */

export const SEVERITIES = ['INFO', 'NOTICE', 'WARNING', 'CRITICAL'] as const
export type Severity = (typeof SEVERITIES)[number]

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
  actorKind: 'USER' | 'API_KEY' | 'AGENT' | 'LINK' | 'SYSTEM' | 'ANONYMOUS'
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
}
