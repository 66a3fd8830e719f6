/** Reads the signals that executions received, which the caller was shown. */
import { Fault } from '../../errors.ts'
import type { Json } from '../../language/values.ts'
import type { Call } from '../call.ts'
import { noteParts } from '../audit/note-reads.ts'

export interface SignalView {
  /** of its event */
  seq: number
  name: string
  data: Json
  bytes: number
  /** a readable id */
  sentBy: string
  at: Date
  /** the path of the step run that took it; null: it waits */
  takenBy: string | null
}

export interface SignalsWanted {
  /** UUID */
  executionId: string
  /** signals with a higher seq */
  after: number
  /** at most this many, 100 at most */
  first: number
}

export const MAX_SIGNALS_READ = 100
/** Answers over this are refused anyway: more is not even read. */
const MAX_BYTES = 10_000_000

const READ = `
select at_index, seq, name, bytes, sent_by as "sentBy", at, taken_by as "takenBy",
  case when sum(bytes) over (order by at_index, seq) <= ${MAX_BYTES} then data end as data,
  sum(bytes) over (order by at_index, seq) > ${MAX_BYTES} as "tooMuch"
from unnest($1::uuid[], $2::integer[], $3::integer[]) with ordinality as wanted (execution_id, after, first, at_index)
cross join lateral (
  select s.* from sluice.signals s where s.execution_id = wanted.execution_id and s.seq > wanted.after
  order by s.seq limit wanted.first) as found
order by at_index, seq`

/** In the order of `wanted`, each in the order in which they came; one statement for all. Throws RESPONSE_TOO_LARGE. */
export async function readSignals(call: Call, wanted: readonly SignalsWanted[]): Promise<SignalView[][]> {
  const ids = wanted.map(({ executionId }) => executionId)
  noteParts(call, ids, 'signals')
  const rows = await call.services.database.query<SignalView & { at_index: number; tooMuch: boolean }>(READ, [
    ids,
    wanted.map(({ after }) => after),
    wanted.map(({ first }) => Math.min(first, MAX_SIGNALS_READ)),
  ])
  if (rows.some(({ tooMuch }) => tooMuch)) throw new Fault('RESPONSE_TOO_LARGE')
  const masks = await call.services.engine.masks(ids)
  const lists = wanted.map((): SignalView[] => [])
  for (const { at_index: index, tooMuch: _, ...signal } of rows) {
    const data = masks.get(ids[index - 1]!)!.value('other', signal.data).value as Json
    lists[index - 1]!.push({ ...signal, data })
  }
  return lists
}
