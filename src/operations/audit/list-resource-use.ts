/** Who and which flows took most of the machine lately (D7), for administrators. */
import { sql } from 'kysely'
import { Fault } from '../../errors.ts'
import type { Call } from '../call.ts'
import { noteOther } from './note-reads.ts'
import { mayManageUsers, requirePerson } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export const USE_BY = ['INITIATOR', 'FLOW'] as const
export type UseBy = (typeof USE_BY)[number]
export const USE_ORDERS = ['EXECUTIONS', 'PAYLOAD_BYTES', 'HANDLER_CPU'] as const
export type UseOrder = (typeof USE_ORDERS)[number]

export interface ResourceUseOrder {
  by: UseBy
  orderBy: UseOrder
  /** how far back, in whole hours with the present one; a day at most */
  windowMs: number
  /** 100 at most */
  first: number
}

/** Sums of the window; `running`: of an initiator, now. */
export interface ResourceUseRow {
  by: UseBy
  /** UUID of the initiator or the flow */
  id: string
  executions: number
  payloadBytes: number
  handlerAttempts: number
  handlerCpuMs: number
  handlerMemoryBytes: number
  exceeded: number
  running: number | null
}

const HOUR_MS = 3_600_000
const MAX_WINDOW_MS = 24 * HOUR_MS
export const MAX_FIRST = 100
/** Beyond this it only matters that it is many. */
export const MAX_RUNNING = 1_000

const COLUMN = { INITIATOR: 'initiator_id', FLOW: 'flow_id' } as const satisfies Record<UseBy, string>
const SUM = {
  EXECUTIONS: 'executions',
  PAYLOAD_BYTES: 'payload_bytes',
  HANDLER_CPU: 'handler_cpu_ms',
} as const satisfies Record<UseOrder, string>

/** The most first. Walks the hours of the window, however long the log of them is. Throws FORBIDDEN and BAD_REQUEST. */
export async function listResourceUse(call: Call, { by, orderBy, windowMs, first }: ResourceUseOrder): Promise<ResourceUseRow[]> {
  if (!mayManageUsers(requirePerson(call))) return forbid(call, { type: 'user.refused' })
  if (!(windowMs >= 0 && windowMs <= MAX_WINDOW_MS)) throw new Fault('BAD_REQUEST', '`window` is a day at most.')
  if (first < 1 || first > MAX_FIRST) throw new Fault('BAD_REQUEST', `\`first\` must be from 1 to ${MAX_FIRST}.`)
  // each hour by itself: of a range the planner, which knows little of the newest rows, expects a third of the table
  const hours = Math.ceil(windowMs / HOUR_MS)
  const running = sql`(select count(*) from (
    select from sluice.executions as e
    where e.initiator_id = top.id and e.ended_at is null and e.parent_id is null limit ${MAX_RUNNING}) as living)::float8`
  const query = sql<Omit<ResourceUseRow, 'by'>>`
    select top.*, ${by === 'INITIATOR' ? running : sql`null`} as running
    from (
      select ${sql.ref(COLUMN[by])} as id, sum(executions)::float8 as executions, sum(payload_bytes)::float8 as "payloadBytes",
        sum(handler_attempts)::float8 as "handlerAttempts", sum(handler_cpu_ms) as "handlerCpuMs",
        max(handler_memory_bytes)::float8 as "handlerMemoryBytes", sum(exceeded)::float8 as exceeded
      from sluice.resource_use
      where hour = any(array(
        select date_trunc('hour', now(), 'UTC') - make_interval(hours => n) from generate_series(0, ${hours}::integer) as n))
      group by 1 order by sum(${sql.ref(SUM[orderBy])}) desc, 1 limit ${first}) as top`
  const read = (em: Call['em']) => query.execute(em.getKysely<unknown>())
  const { rows } = await (call.services.replica?.read(call.em, read) ?? read(call.em))
  noteOther(call, 'resourceUse', rows.length)
  return rows.map((row) => ({ by, ...row }))
}
