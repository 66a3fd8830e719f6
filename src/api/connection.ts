/** Keyset connections in the order of ids (which is the order of time): `first`/`last` up to 100, opaque cursors, no offsets. */
import type { OutputType } from '@pothos/core'
import { Fault } from '../errors.ts'
import type { Order, Page } from '../operations/page.ts'
import { builder } from './builder.ts'
import type { Types } from './builder.ts'

const DEFAULT_PAGE = 20
const MAX_PAGE = 100

export interface ConnectionArgs {
  first?: number | null
  after?: string | null
  last?: number | null
  before?: string | null
}

/** `<Name>Connection` and `<Name>Edge`. Give both to `t.connection(options, ...connectionTypes(Flow, 'Flow'))`. */
export function connectionTypes<Type extends OutputType<Types>>(type: Type, name: string) {
  const edge = builder.edgeObject({ type, name: `${name}Edge`, description: `A ${name} and its place in the connection.` })
  const connection = builder.connectionObject(
    { type, name: `${name}Connection`, description: `A page of ${name} objects.` },
    edge,
  )
  return [connection, edge] as const
}

/** A connection costs its page times its selection; refuse nothing here, `readPage` does. */
export function connectionCost(args: ConnectionArgs) {
  return { field: 1, multiplier: Math.min(Math.max(args.first ?? args.last ?? DEFAULT_PAGE, 0), MAX_PAGE) }
}

/**
 * Reads one page. `rows` gets the page in terms of ids and answers its rows in that order; `idOf` is a row's UUID.
 * `order: 'NEWEST_FIRST'` (default) shows the highest id first. Throws BAD_CURSOR and BAD_REQUEST.
 */
export async function readPage<Row>(
  name: string,
  args: ConnectionArgs,
  rows: (page: Page) => Promise<readonly Row[]>,
  idOf: (row: Row) => string,
  order: Order = 'NEWEST_FIRST',
) {
  const backwards = args.last != null
  const size = pageSize(args)
  const newestFirst = order === 'NEWEST_FIRST'
  const after = decodeCursor(name, args.after)
  const before = decodeCursor(name, args.before)
  const found = await rows({
    // one more than is shown tells whether there are more
    limit: size + 1,
    shown: size,
    afterId: newestFirst ? before : after,
    beforeId: newestFirst ? after : before,
    descending: newestFirst !== backwards,
  })
  const shown = found.slice(0, size)
  if (backwards) shown.reverse()
  const edges = shown.map((node) => ({ node, cursor: encodeCursor(name, idOf(node)) }))
  const more = found.length > size
  return {
    edges,
    pageInfo: {
      hasNextPage: backwards ? before !== undefined : more,
      hasPreviousPage: backwards ? more : after !== undefined,
      startCursor: edges[0]?.cursor,
      endCursor: edges.at(-1)?.cursor,
    },
  }
}

function pageSize({ first, last }: ConnectionArgs): number {
  if (first != null && last != null) throw new Fault('BAD_REQUEST', 'Give `first` or `last`, not both.')
  const size = first ?? last ?? DEFAULT_PAGE
  if (size < 0 || size > MAX_PAGE)
    throw new Fault('BAD_REQUEST', `\`${last == null ? 'first' : 'last'}\` must be from 0 to ${MAX_PAGE}.`)
  return size
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A cursor names its connection, so that one of another connection is refused and not misread. */
export const encodeCursor = (name: string, id: string): string => Buffer.from(`${name}:${id}`).toString('base64url')

export function decodeCursor(name: string, cursor: string | null | undefined): string | undefined {
  if (cursor == null) return undefined
  const [of, id, ...rest] = Buffer.from(cursor, 'base64url').toString().split(':')
  if (of !== name || !id || !UUID.test(id) || rest.length > 0) throw new Fault('BAD_CURSOR')
  return id
}
