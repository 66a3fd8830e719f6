/** Reads pieces of the histories of executions that the caller was shown. */
import type { EventType } from '../../engine/states.ts'
import type { Json } from '../../language/values.ts'
import type { Call } from '../call.ts'
import { noteParts } from '../audit/note-reads.ts'
import { admitUnmask } from './unmask.ts'
import type { View } from './unmask.ts'

/** One fact in an execution's history. */
export interface EventRow {
  seq: number
  type: EventType
  at: Date
  step: string | null
  path: string | null
  attempt: number | null
  data: Json
  /** JSON pointers to what is masked in `data` */
  redacted: readonly string[]
}

export interface EventsWanted {
  /** UUID */
  executionId: string
  /** events with a higher seq */
  after: number
  /** at most this many, 500 at most */
  first: number
}

export const MAX_EVENTS = 500

/** In the order of `wanted`, each in the order of `seq`; one statement for all. */
export async function readEvents(call: Call, wanted: readonly EventsWanted[], view: View = 'MASKED'): Promise<EventRow[][]> {
  const ids = wanted.map((one) => one.executionId)
  if (view === 'UNMASKED') await admitUnmask(call, ids, 'events')
  noteParts(call, ids, 'events')
  const rows = await call.services.database.query<Omit<EventRow, 'redacted'> & { at_index: number }>(
    `select wanted.at_index, found.*
    from unnest($1::uuid[], $2::integer[], $3::integer[]) with ordinality as wanted (execution_id, after, first, at_index)
    cross join lateral (
      select seq, type, at, step, path, attempt, data from sluice.events
      where execution_id = wanted.execution_id and seq > wanted.after order by seq limit wanted.first) as found
    order by wanted.at_index, found.seq`,
    [ids, wanted.map((one) => one.after), wanted.map((one) => Math.min(one.first, MAX_EVENTS))],
  )
  const masks = view === 'MASKED' ? await call.services.engine.masks(ids) : undefined
  const lists = wanted.map((): EventRow[] => [])
  for (const { at_index: index, ...event } of rows) {
    const mask = masks?.get(ids[index - 1]!)
    lists[index - 1]?.push(mask ? mask.event(event) : { ...event, redacted: [] })
  }
  return lists
}
