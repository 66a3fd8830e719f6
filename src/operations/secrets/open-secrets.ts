/** Opens the secrets that a step names, for one attempt of it: only those of its flow's owner, only if the owner published this version. */
import type { AuditKeys } from '../../audit/audit-keys.ts'
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import type { AuditFacts } from '../../audit/record-audit.ts'
import type { SecurityKind } from '../../audit/security-kinds.ts'
import type { SecurityWatch } from '../../audit/security-watch.ts'
import { queryIn } from '../../database/database.ts'
import type { Database } from '../../database/database.ts'
import type { OpenedSecrets, OpenSecrets, SecretsOrder } from '../../engine/acts/run-with-secrets.ts'
import { UnsealError } from '../../identity/secret-keys.ts'
import type { SecretKeys } from '../../identity/secret-keys.ts'
import { SEALED } from '../../identity/secrets.ts'
import type { SealedRow } from '../../identity/secrets.ts'
import { encodeId } from '../../ids.ts'
import type { Logger } from '../../log.ts'

export interface OpenSecretsOptions {
  readonly database: Database
  readonly keys: SecretKeys
  readonly auditKeys: Pick<AuditKeys, 'sign'>
  readonly security: Pick<SecurityWatch, 'count'>
  readonly log: Logger
}

type Found = { flowId: string; mayUse: boolean } & (SealedRow | { id: null })

/** Every use and every refusal is in the audit log before the handler gets anything. */
export function createOpenSecrets({ database, keys, auditKeys, security, log }: OpenSecretsOptions): OpenSecrets {
  return async (order) => {
    const { executionId, path, attempt, names } = order
    const { opened, facts, flowId } = await database.transaction(async (em) => {
      const rows = await queryIn<Found>(
        em,
        `select e.flow_id as "flowId", v.created_by = f.owner_id and u.disabled_at is null as "mayUse", ${SEALED}
         from sluice.executions e
         join sluice.flow_versions v on v.id = e.flow_version_id
         join sluice.flows f on f.id = e.flow_id
         join sluice.users u on u.id = f.owner_id
         left join sluice.secrets s on s.owner_id = f.owner_id and s.name = any($2)
         where e.id = $1`,
        [executionId, names],
      )
      const judged = { ...judge(keys, order, rows), flowId: rows[0]?.flowId }
      const metadata = { path, attempt, names, ...judged.facts.metadata }
      const about = { executionId, ...(judged.flowId !== undefined && { flowId: judged.flowId }) }
      const entry = { ...judged.facts, ...about, metadata }
      await recordAudit(em, auditEntry({ origin: {}, services: { database, auditKeys } }, entry, { kind: 'SYSTEM' }))
      return judged
    })
    if (!opened.ok) {
      log.warn({ execution: encodeId('execution', executionId), path, code: facts.errorCode }, 'secrets refused')
      const kind = SUSPICIOUS[facts.errorCode ?? '']
      if (kind && flowId !== undefined) security.count(kind, [{ kind: 'FLOW', id: flowId }])
    }
    return opened
  }
}

/** The others are mistakes of who wrote the flow, or of who configured the keys. */
const SUSPICIOUS: Readonly<Record<string, SecurityKind>> = {
  SECRET_NOT_YOURS: 'SECRETS_REFUSED',
  SECRET_TAMPERED: 'SECRETS_TAMPERED',
}

function judge(keys: SecretKeys, { names }: SecretsOrder, rows: readonly Found[]): { opened: OpenedSecrets; facts: AuditFacts } {
  const refuse = (message: string, errorCode: string, more: Partial<AuditFacts> = {}) => ({
    opened: { ok: false, message } as const,
    facts: { type: 'secret.useRefused', severity: 'WARNING', success: false, errorCode, ...more } as const,
  })
  if (!rows[0]?.mayUse) return refuse("The flow's owner did not publish this version.", 'SECRET_NOT_YOURS')
  const byName = new Map(rows.flatMap((row) => (row.id === null ? [] : [[row.name, row] as const])))
  const values: [string, string][] = []
  for (const name of names) {
    const row = byName.get(name)
    if (!row) return refuse(`The flow's owner has no secret "${name}".`, 'UNKNOWN_SECRET')
    try {
      values.push([name, keys.unseal(row, row)])
    } catch (error) {
      if (!(error instanceof UnsealError)) throw error
      const metadata = { secret: encodeId('secret', row.id), keyId: row.keyId }
      const severity = error.reason === 'TAMPERED' ? 'CRITICAL' : 'WARNING'
      return refuse(`The secret "${name}" cannot be opened.`, `SECRET_${error.reason}`, { severity, metadata })
    }
  }
  return { opened: { ok: true, values: Object.fromEntries(values) }, facts: { type: 'secret.used' } }
}
