/** Which flow a step means, in tests without people. */
import type { Database } from '../../src/database/database.ts'
import type { ChooseChild } from '../../src/engine/acts/start-child.ts'

/** Every flow may be started, by its name. */
export function chooseByName(database: Pick<Database, 'query'>): ChooseChild {
  return async ({ flow }) => {
    const [row] = await database.query<{ flow_id: string; id: string }>(
      'select v.flow_id, v.id from sluice.flows f join sluice.flow_versions v on v.flow_id = f.id where f.name = $1',
      [flow],
    )
    if (!row) return { ok: false, code: 'FLOW_NOT_FOUND', message: `There is no flow ${flow}.` }
    return { ok: true, flowId: row.flow_id, flowVersionId: row.id, audit: [] }
  }
}
