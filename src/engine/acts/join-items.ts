/** The end of a map: the outputs of its items, in their order, read from their step runs in one statement. */
import type { Database } from '../../database/database.ts'
import { decodeId } from '../../ids.ts'
import type { Logger } from '../../log.ts'
import type { MapSpec } from '../../language/steps/map.ts'
import type { ItemCounts } from '../in-flight.ts'
import { createTrouble } from '../../trouble.ts'
import type { ActCall, ActOutcome, ActRunner } from './act-runner.ts'
import { runOwnAct } from './own-act.ts'

/** Failures that the output lists; the counts have all of them. */
const MOST_LISTED = 100

/** `null` where an item has no output. Their size was added up while they ended: what is read here fits. */
const TEXT = `
  select '[' || string_agg(coalesce(s.output::text, 'null'), ',' order by i.n) || ']' as items,
    (select coalesce(json_agg(f.body order by f.n), '[]')::text from (
      select x.n, json_build_object('index', x.n, 'code', r.error ->> 'code', 'message', r.error ->> 'message') as body
      from generate_series(0, $3::integer - 1) as x(n)
      join sluice.step_runs r on r.execution_id = $1 and r.path = $2 || '.items[' || x.n || ']'
      where r.status = 'FAILED' and $4 order by x.n limit ${MOST_LISTED}) as f) as failed
  from generate_series(0, $3::integer - 1) as i(n)
  left join sluice.step_runs s on s.execution_id = $1 and s.path = $2 || '.items[' || i.n || ']'`

export function createItemJoiner(database: Database, log: Logger): ActRunner<MapSpec> {
  const trouble = createTrouble({ log, message: 'joining items failed, trying again' })
  return { hasRoom: () => true, run: (call) => runOwnAct(trouble, () => joinItems(database, call)) }
}

/** `{ items, failed: [{ index, code, message }], counts }` */
async function joinItems(database: Database, { executionId, path, input }: ActCall): Promise<ActOutcome> {
  const counts = input as unknown as ItemCounts
  const params = [decodeId('execution', executionId), path, counts.total, counts.failed > 0]
  const [row] = await database.query<{ items: string; failed: string }>(TEXT, params)
  const text = `{"items":${row!.items},"failed":${compact(row!.failed)},"counts":${JSON.stringify(counts)}}`
  return { ok: true, text, bytes: Buffer.byteLength(text) }
}

const compact = (json: string): string => JSON.stringify(JSON.parse(json))
