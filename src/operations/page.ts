/** Pages of lists in the order of ids, which is the order of time: each way to the rows walks an index, and the walks are united. */
import type { EntityClass } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import type { Reader } from './call.ts'
import { noteRows } from './audit/note-reads.ts'
import { allOf, selectRows } from './select-rows.ts'
import type { Condition } from './select-rows.ts'

/** One page: `id > afterId and id < beforeId order by id [desc] limit limit`. */
export interface Page {
  limit: number
  /** how many of them are shown: what is more only tells that there is more; `limit` */
  shown?: number
  afterId?: string
  beforeId?: string
  descending: boolean
}

export const ORDERS = ['NEWEST_FIRST', 'OLDEST_FIRST'] as const
export type Order = (typeof ORDERS)[number]

/** Rows of `table`, called `t`, for each row of `from`; `where` should walk an index whose last column is `id`. */
export interface Way {
  from: Condition
  where: Condition
}

export const EVERYWHERE: Way = { from: sql`(select 1) as everywhere`, where: sql`true` }

interface Walk<Row, Without extends keyof Row> {
  /** schema-qualified */
  table: string
  ways: readonly Way[]
  filters: readonly Condition[]
  page: Page
  /** large columns that are not wanted */
  without?: readonly Without[]
  /** they may be a little stale: the replica is asked, where there is one */
  mayBeStale?: boolean
}

/** Rows that several ways lead to are there once. `filters` speak of `t`. At most `page.limit` rows are read by each walk. */
export async function readRows<Row extends { id: string }, Without extends keyof Row & string = never>(
  call: Reader,
  entity: EntityClass<Row>,
  { table, ways, filters, page, without = [], mayBeStale = false }: Walk<Row, Without>,
): Promise<Omit<Row, Without>[]> {
  const where = sql`t.id = any(${idsOf({ table, ways, filters, page })})`
  const { services } = call
  const read = (em: Reader['em']) => selectRows<Row, Without>({ em, services }, entity, { where, then: inOrderOf(page), without })
  const rows = await (mayBeStale && services.replica ? services.replica.read(call.em, read) : read(call.em))
  noteRows(call, entity, rows.slice(0, page.shown) as unknown as Row[])
  if (!call.frame && call.principal)
    call.services.security.count('BULK_READS', [call.principal], rows.slice(0, page.shown).length)
  return rows
}

/** An array of their ids: of a union the planner expects so many rows that it would read the whole table to join them. */
export function idsOf({
  table,
  ways,
  filters,
  page,
}: Pick<Walk<never, never>, 'table' | 'ways' | 'filters' | 'page'>): Condition {
  const conditions = allOf([...filters, ...bounds(page)])
  const inOrder = inOrderOf(page)
  const walks = ways.map(
    ({ from, where }) => sql`select walked.id from ${from} cross join lateral
      (select t.id from ${sql.raw(table)} as t where ${where} and ${conditions} ${inOrder}) as walked`,
  )
  return sql`array(${sql.join(walks, sql` union `)} ${inOrder})`
}

const inOrderOf = ({ descending, limit }: Page): Condition => sql`order by id ${descending ? sql`desc` : sql`asc`} limit ${limit}`

function bounds({ afterId, beforeId }: Page): Condition[] {
  return [afterId ? [sql`t.id > ${afterId}`] : [], beforeId ? [sql`t.id < ${beforeId}`] : []].flat()
}

/** Each way once for each of `values` of `column`, for indexes that have it before `id`. */
export const eachOf = (ways: readonly Way[], column: string, values: readonly string[]): Way[] =>
  ways.flatMap(({ from, where }) =>
    values.map((value) => ({ from, where: sql`${where} and ${sql.ref(`t.${column}`)} = ${value}` })),
  )

/** Ids are made by the program's clock and times by the database's: this far apart they may be. */
const SKEW_MS = 60_000

/** Rows whose time lies in [from, to): bounded by their ids too, which are indexed where the time is not. */
export function between(column: string, from: Date | undefined, to: Date | undefined): Condition[] {
  const time = sql.ref(`t.${column}`)
  return [
    from ? [sql`${time} >= ${from}`, sql`t.id >= ${firstIdOf(from.getTime() - SKEW_MS)}`] : [],
    to ? [sql`${time} < ${to}`, sql`t.id < ${firstIdOf(to.getTime() + SKEW_MS)}`] : [],
  ].flat()
}

/** The lowest UUIDv7 of a millisecond. */
function firstIdOf(ms: number): string {
  const hex = Math.min(Math.max(ms, 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}
