/** Reads slots: who of a flow with `concurrency` runs, and who waits behind whom. */
import { sql } from 'kysely'
import type { Execution } from '../../engine/entities/execution.ts'
import { NEVER_MS } from '../../engine/decide/snapshot.ts'
import type { Call } from '../call.ts'
import type { Page } from '../page.ts'
import { requirePrincipal, visibleExecutions } from '../permissions.ts'
import type { Condition } from '../select-rows.ts'

/** Of an execution that has not ended. Counts stop at MAX_COUNT. */
export interface Slot {
  /** of its execution */
  id: string
  flowId: string
  /** null: the flow has no key, or it was made of what is sensitive */
  key: string | null
  max: number
  held: number
  waiting: number
  askedAt: Date
  /** it does not wait for a slot before */
  dueAt: Date
  /** null while it waits */
  heldAt: Date | null
  /** in the queue, from 1; null when it holds a slot, or is not due yet */
  place: number | null
}

/** Of one key. */
export const MAX_COUNT = 10_000
/** Shown of those who hold slots of one key. */
export const MAX_HOLDERS = 20

/** Cheap to answer: whether the execution waits for a slot, or for the time from which it does. */
export const waitsForSlot = ({ status, wakeAt }: Pick<Execution, 'status' | 'wakeAt'>): boolean =>
  status === 'PENDING' && wakeAt?.getTime() === NEVER_MS

const counted = (of: string, what: Condition): Condition => sql`(select count(*) from (
  select from sluice.slots as ${sql.raw(of)} where ${sql.raw(of)}.flow_id = s.flow_id and ${sql.raw(of)}.key = s.key and ${what}
  limit ${sql.lit(MAX_COUNT)}) as counted)::integer`

const COLUMNS = sql`
  s.execution_id as id, s.flow_id as "flowId", case when s.key <> '' and not s.hidden then s.key end as key, s.most as max,
  s.asked_at as "askedAt", s.due_at as "dueAt", s.held_at as "heldAt",
  ${counted('h', sql`h.held_at is not null`)} as held,
  ${counted('q', sql`q.held_at is null and q.due_at <= now()`)} as waiting,
  case when s.held_at is null and s.due_at <= now() then ${counted(
    'b',
    sql`b.held_at is null and b.due_at <= now()
      and (b.priority > s.priority or b.priority = s.priority and b.execution_id <= s.execution_id)`,
  )} end as place`

/** In the order of `ids`, which are of executions that the caller was shown; null: no slot. */
export async function readSlots(call: Call, ids: readonly string[]): Promise<(Slot | null)[]> {
  const { rows } = await sql<Slot>`
    select ${COLUMNS} from sluice.slots as s where s.execution_id = any(${[...ids]}::uuid[])`.execute(
    call.em.getKysely<unknown>(),
  )
  const found = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => found.get(id) ?? null)
}

export interface SlotFilter {
  /** UUID */
  flowId?: string | undefined
  /** only those who hold one, or only those who wait */
  held?: boolean | undefined
}

/** Those of executions that the caller may see, in the order in which they were asked for. */
export async function listSlots(call: Call, { flowId, held }: SlotFilter, page: Page): Promise<Slot[]> {
  const { limit, afterId, beforeId, descending } = page
  const { rows } = await sql<Slot>`
    select ${COLUMNS} from (
      select l.* from sluice.slots as l join sluice.executions as t on t.id = l.execution_id
      where ${visibleExecutions(requirePrincipal(call))}
        and (${flowId ?? null}::uuid is null or l.flow_id = ${flowId ?? null}::uuid)
        and (${held ?? null}::boolean is null or (l.held_at is not null) = ${held ?? null}::boolean)
        and (${afterId ?? null}::uuid is null or l.execution_id > ${afterId ?? null}::uuid)
        and (${beforeId ?? null}::uuid is null or l.execution_id < ${beforeId ?? null}::uuid)
      order by l.execution_id ${descending ? sql`desc` : sql`asc`} limit ${limit}) as s
    order by s.execution_id ${descending ? sql`desc` : sql`asc`}`.execute(call.em.getKysely<unknown>())
  return rows
}

/** In the order of `ids`: who holds the slots of the same key, as far as the caller may see them, the oldest first. UUIDs. */
export async function readHolders(call: Call, ids: readonly string[]): Promise<string[][]> {
  const { rows } = await sql<{ of: string; id: string }>`
    select s.execution_id as of, h.execution_id as id
    from sluice.slots as s cross join lateral (
      select o.execution_id from sluice.slots as o join sluice.executions as t on t.id = o.execution_id
      where o.flow_id = s.flow_id and o.key = s.key and o.held_at is not null and ${visibleExecutions(requirePrincipal(call))}
      order by o.execution_id limit ${MAX_HOLDERS}) as h
    where s.execution_id = any(${[...ids]}::uuid[]) order by 1, 2`.execute(call.em.getKysely<unknown>())
  const found = Map.groupBy(rows, ({ of }) => of)
  return ids.map((id) => (found.get(id) ?? []).map((row) => row.id))
}
