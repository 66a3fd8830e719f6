/** Which executions of a flow could go on with a newer version of it, and why the others could not; it changes nothing. */
import { sql } from 'kysely'
import type { MigrationObstacle } from '../../engine/decide/migrate.ts'
import { FlowVersion } from '../../engine/entities/flow-version.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import { findFlowToStart } from '../flows/find-flow-to-start.ts'
import { mayOnFlow, requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'
import { selectRows } from '../select-rows.ts'

/** Ids are UUIDs. */
export interface MigrationChoice {
  flowId: string
  /** the number of the version to go on with; the newest unless given */
  to?: number | undefined
  /** only executions of the version with this number */
  from?: number | undefined
  /** only these */
  executions?: readonly string[] | undefined
  /** looked at in one call, the oldest first: 1 to 100 */
  first: number
  /** those that began after this one */
  after?: string | undefined
}

export interface ExecutionMigration {
  executionId: string
  obstacles: readonly MigrationObstacle[]
}

export interface MigrationPlan {
  flowVersionId: string
  executions: readonly ExecutionMigration[]
  /** there are more, after the last of these */
  more: boolean
}

export const MOST_MIGRATIONS = 100
export const MIGRATION_AUDIT = { done: 'execution.migrated', refused: 'execution.migrationRefused' } as const

/** Whoever manages the flow. Problems: NOT_FOUND of the flow or the version, VALIDATION. Throws FORBIDDEN. */
export async function planMigration(call: Call, choice: MigrationChoice): Promise<MigrationPlan | Problem> {
  const found = await chooseMigrations(call, choice)
  if (isProblem(found)) return found
  const { flowVersionId, ids, more } = found
  const executions = await call.services.engine.planMigration(ids, flowVersionId)
  if (isProblem(executions)) return executions
  const byId = new Map(executions.map((execution) => [execution.executionId, execution]))
  return { flowVersionId, executions: ids.flatMap((id) => byId.get(id) ?? []), more }
}

/** The executions that have not ended and run an older version. */
export async function chooseMigrations(
  call: Call,
  { flowId, to, from, executions, first, after }: MigrationChoice,
): Promise<{ flowVersionId: string; ids: string[]; more: boolean } | Problem> {
  const principal = requirePrincipal(call)
  const flow = await findFlowToStart(call, { id: flowId })
  if (isProblem(flow)) return flow
  if (!mayOnFlow(principal, 'MANAGE', flow)) return forbid(call, { type: MIGRATION_AUDIT.refused, flowId })
  const check = new ArgumentCheck()
  if (!Number.isInteger(first) || first < 1 || first > MOST_MIGRATIONS)
    check.add('INVALID_VALUE', ['first'], `It is from 1 to ${MOST_MIGRATIONS}.`)
  if (check.problem) return check.problem
  const isWanted = to === undefined ? sql`t.id = ${flow.newestVersionId}` : sql`t.flow_id = ${flowId} and t.number = ${to}`
  const [version] = await selectRows(call, FlowVersion, { where: isWanted })
  if (!version) return problem('NOT_FOUND', { path: ['to'] })
  const { number } = version
  const isFrom = from === undefined ? sql`v.number < ${number}` : sql`v.number < ${number} and v.number = ${from}`
  const isNamed = executions === undefined ? sql`true` : sql`e.id = any(${[...executions]}::uuid[])`
  const isAfter = after === undefined ? sql`true` : sql`e.id > ${after}`
  const { rows } = await sql<{ id: string }>`
    select e.id from sluice.executions e join sluice.flow_versions v on v.id = e.flow_version_id
    where e.flow_id = ${flowId} and e.status in ('PENDING', 'RUNNING', 'WAITING', 'PAUSED') and ${isFrom} and ${isNamed} and ${isAfter}
    order by e.id limit ${first + 1}`.execute(call.em.getKysely<unknown>())
  const ids = rows.map(({ id }) => id)
  return { flowVersionId: version.id, ids: ids.slice(0, first), more: ids.length > first }
}
