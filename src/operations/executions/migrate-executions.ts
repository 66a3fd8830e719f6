/** Moves executions of a flow that wait, are paused or have not begun to a newer version of it, and says why the others stay. */
import { auditEntry } from '../../audit/record-audit.ts'
import { isProblem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { actorId } from '../actor-id.ts'
import type { Call } from '../call.ts'
import { requirePrincipal } from '../permissions.ts'
import { chooseMigrations, MIGRATION_AUDIT } from './plan-migration.ts'
import type { MigrationChoice, MigrationPlan } from './plan-migration.ts'

/** Each moves by itself: what stands in the way of one keeps no other. Problems as in `planMigration`, and LIMIT_REACHED. Throws FORBIDDEN. */
export async function migrateExecutions(call: Call, choice: MigrationChoice): Promise<MigrationPlan | Problem> {
  const found = await chooseMigrations(call, choice)
  if (isProblem(found)) return found
  const { flowVersionId, ids, more } = found
  const executions = await call.services.engine.migrate({
    ...{ executionIds: ids, flowVersionId, by: actorId(requirePrincipal(call)) },
    audit: (executionId) => [auditEntry(call, { type: MIGRATION_AUDIT.done, executionId, flowId: choice.flowId })],
  })
  return isProblem(executions) ? executions : { flowVersionId, executions, more }
}
