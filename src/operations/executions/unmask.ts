/** Reading what is masked: for a flow's owner and administrators, in person, when they ask for it; each time in the audit log (C7). */
import { sql } from 'kysely'
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import type { Call } from '../call.ts'
import { mayUnmask, requirePrincipal, withLevel } from '../permissions.ts'
import { forbid } from '../refuse.ts'

/** How sensitive values are shown. */
export type View = 'MASKED' | 'UNMASKED'

interface Row {
  executionId: string
  flowId: string
  /** null when the flow is gone */
  level: number | null
}

/** Of executions that the caller was shown; `what` is read of them. Written before anything is. Throws FORBIDDEN. */
export async function admitUnmask(call: Call, executionIds: readonly string[], what: string): Promise<void> {
  const principal = requirePrincipal(call)
  const { rows } = await sql<Row>`
    select e.id as "executionId", e.flow_id as "flowId" ${withLevel(principal)}
    from sluice.executions as e left join sluice.flows as t on t.id = e.flow_id
    where e.id = any(${[...new Set(executionIds)]})`.execute(call.em.getKysely<unknown>())
  for (const { executionId, flowId, level } of rows) {
    if (!mayUnmask(principal, { level: level ?? 0 })) {
      await forbid(call, { type: 'execution.unmaskRefused', executionId, flowId, metadata: { what } })
    }
  }
  const entries = rows.map(({ executionId, flowId }) =>
    auditEntry(call, { type: 'execution.unmasked', severity: 'NOTICE', executionId, flowId, metadata: { what } }),
  )
  await call.services.database.transaction((em) => recordAudit(em, ...entries))
  call.services.security.count('BULK_UNMASKS', [principal], rows.length)
}
