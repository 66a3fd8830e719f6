/** Who may see which execution, for many at once: what feeds ask when somebody's access may have changed. */
import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import type { Principal } from '../identity/principal.ts'
import { visibleExecutions } from './permissions.ts'

interface Asked {
  readonly principal: Principal
  /** UUID */
  readonly executionId: string
}

/** Each has a few parameters, of which PostgreSQL takes 65,535. */
const PER_STATEMENT = 1_000

/** For each, in order, the UUID of the execution's flow; undefined when it is not there or not visible. */
export async function whoMaySee(database: Pick<Database, 'fork'>, asked: readonly Asked[]): Promise<(string | undefined)[]> {
  const flows: (string | undefined)[] = asked.map(() => undefined)
  const kysely = database.fork().getKysely<unknown>()
  for (let from = 0; from < asked.length; from += PER_STATEMENT) {
    const each = asked.slice(from, from + PER_STATEMENT).map(
      ({ principal, executionId }, at) =>
        sql`select ${from + at}::integer as at, t.flow_id as "flowId" from sluice.executions as t
          where t.id = ${executionId} and ${visibleExecutions(principal)}`,
    )
    const { rows } = await sql<{ at: number; flowId: string }>`${sql.join(each, sql` union all `)}`.execute(kysely)
    for (const { at, flowId } of rows) flows[at] = flowId
  }
  return flows
}
