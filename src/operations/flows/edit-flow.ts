/** How every edit of a flow goes: visible, allowed, still at the version the caller knows, then changed and audited in one transaction (A5). */
import { OptimisticLockError } from '@mikro-orm/postgresql'
import type { EntityManager } from '@mikro-orm/postgresql'
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import type { AuditFacts } from '../../audit/record-audit.ts'
import { Flow } from '../../engine/entities/flow.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { findFlow } from './find-flow.ts'
import { limitFlowWrites } from './limit-flow-writes.ts'
import { mayOnFlow, requirePrincipal } from '../permissions.ts'
import type { FlowAction, Leveled } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export interface FlowEdit {
  /** UUID */
  flowId: string
  /** `Flow.version` as the caller read it */
  expectedVersion: number
  /** what the caller must be allowed, seeing the flow as it is */
  action: FlowAction | 'OWN' | ((flow: Leveled<Flow>) => Promise<FlowAction>)
  /** what is wrong with the edit, of the flow in this version; what it asks the database is not asked inside the transaction */
  check?: (flow: Flow) => Promise<Problem | undefined>
  /** what the audit log says when it is done, and when it is refused */
  audit: { done: AuditFacts['type']; refused: AuditFacts['type'] }
}

/**
 * `change` flushes what it changes; it answers a problem before it has changed anything.
 * Problems: NOT_FOUND, STALE_VERSION, LIMIT_REACHED, those of `check` and `change`; throws FORBIDDEN.
 */
export async function editFlow<T>(
  call: Call,
  { flowId, expectedVersion, action, check, audit }: FlowEdit,
  change: (em: EntityManager, flow: Flow) => Promise<T>,
): Promise<T | Problem> {
  const seen = await findFlow(call, { id: flowId })
  if (isProblem(seen)) return seen
  const needed = typeof action === 'string' ? action : await action(seen)
  if (!mayOnFlow(requirePrincipal(call), needed, seen)) return forbid(call, { type: audit.refused, flowId })
  if (seen.version !== expectedVersion) return stale(seen.version)
  const limited = await limitFlowWrites(call)
  if (limited) return limited
  const wrong = await check?.(seen)
  if (wrong) return wrong
  try {
    return await call.services.database.transaction(async (em) => {
      const flow = await em.findOneOrFail(Flow, flowId)
      if (flow.version !== expectedVersion) return stale(flow.version)
      const result = await change(em, flow)
      if (isProblem(result)) return result
      const { latestNumber, version, visibility } = flow
      await recordAudit(em, auditEntry(call, { type: audit.done, flowId, metadata: { latestNumber, version, visibility } }))
      return result
    })
  } catch (error) {
    if (!(error instanceof OptimisticLockError)) throw error
    const now = await findFlow(call, { id: flowId })
    return isProblem(now) ? now : stale(now.version)
  }
}

const stale = (currentVersion: number): Problem => problem('STALE_VERSION', { path: ['expectedVersion'], currentVersion })
