/** The chain of the audit log as far as a drill is concerned: from the last seal before it. */
import { join } from 'node:path'
import { auditKeysOf } from '../app/audit.ts'
import type { AuditKeys } from '../audit/audit-keys.ts'
import { readLastSeal } from '../audit/read-chain.ts'
import { createSealedHead } from '../audit/sealed-head.ts'
import { verifyAudit } from '../audit/verify-audit.ts'
import type { AuditVerification, VerifiedPlace } from '../audit/verify-audit.ts'
import type { Config } from '../config/config-types.ts'
import type { Database } from '../database/database.ts'

export interface Chain {
  readonly keys: AuditKeys
  /** What is wrong with the end of it before anything is done: also that our keys did not sign it. undefined: nothing. */
  readonly wrong: string | undefined
  /** All that was written since. */
  verify(): Promise<Pick<AuditVerification, 'intact' | 'checked' | 'broken'>>
}

const ROWS_AT_A_TIME = 10_000
/** While keys are exchanged, some processes sign by the old one: among so many rows there is one by ours then. */
const LAST = `select mac from sluice.audit_events order by xid desc, id desc limit 100`

export async function openChain(config: Config, database: Database): Promise<Chain> {
  const keys = auditKeysOf(config)
  const head = createSealedHead(keys, config.audit.headPath ?? join(config.database.dataDir, 'audit-head'))
  const begin: VerifiedPlace = { position: (await readLastSeal(database))?.position ?? 0 }
  const lastSeal = { position: Math.max(0, begin.position - 1) }
  const rows = await database.query<{ mac: Buffer }>(LAST)
  const { broken } = await verifyAudit({ database, keys, head, after: lastSeal, limit: ROWS_AT_A_TIME })
  return {
    keys,
    wrong:
      broken?.why ??
      (rows.length > 0 && !rows.some(({ mac }) => keys.isCurrent(mac)) ? 'the others sign by another key' : undefined),
    async verify() {
      let checked = 0
      for (let after = begin; ;) {
        const page = await verifyAudit({ database, keys, head, after, limit: ROWS_AT_A_TIME })
        checked += page.checked
        if (page.broken || page.complete) return { ...page, checked }
        after = page.place ?? { position: page.position }
      }
    },
  }
}
