/** Who may see which execution, for many at once: what feeds ask when somebody's access may have changed. */
import { sql } from 'kysely'
import type { Database } from '../../database/database.ts'
import { rightsOf } from '../../identity/grantees.ts'
import type { Principal } from '../../identity/principal.ts'
import { askTogether } from '../ask-together.ts'
import { executionsSeenByEach, mayAskFor } from '../permissions.ts'

interface Asked {
  readonly principal: Principal
  /** UUID */
  readonly executionId: string
}

/** For each, in order, the UUID of the execution's flow; undefined when it is not there or not visible. One statement. */
export async function whoMaySee(database: Pick<Database, 'fork'>, asked: readonly Asked[]): Promise<(string | undefined)[]> {
  const flows: (string | undefined)[] = asked.map(() => undefined)
  const may = [...asked.entries()].filter(([, { principal, executionId }]) => mayAskFor(principal, executionId))
  if (may.length === 0) return flows
  const rights = may.map(([, { principal }]) => rightsOf(principal))
  const { questions, asker } = askTogether(rights, 'at integer, execution_id uuid', (place) => {
    const [at, { executionId }] = may[place]!
    return { at, execution_id: executionId }
  })
  const { rows } = await sql<{ at: number; flowId: string }>`
    select q.at, t.flow_id as "flowId"
    from ${questions} join sluice.executions as t on t.id = q.execution_id
    where ${executionsSeenByEach(asker)}`.execute(database.fork().getKysely<unknown>())
  for (const { at, flowId } of rows) flows[at] = flowId
  return flows
}
