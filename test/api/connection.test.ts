/** Keyset connections: compared with slicing the whole list, which is what they must look like. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { connectionCost, encodeCursor, readPage } from '../../src/api/connection.ts'
import type { ConnectionArgs } from '../../src/api/connection.ts'
import type { Page } from '../../src/operations/page.ts'

const idOf = (number: number) => `0190a000-0000-7000-8000-${String(number).padStart(12, '0')}`
const cursorOf = (number: number) => encodeCursor('Thing', idOf(number))

/** What PostgreSQL does with a page. */
const query =
  (ids: string[]) =>
  async ({ limit, afterId, beforeId, descending }: Page) => {
    const found = ids.filter((id) => (!afterId || id > afterId) && (!beforeId || id < beforeId)).sort()
    return (descending ? found.reverse() : found).slice(0, limit)
  }
const read = (ids: string[], args: ConnectionArgs, order?: 'NEWEST_FIRST' | 'OLDEST_FIRST') =>
  readPage('Thing', args, query(ids), (id) => id, order)

/** https://relay.dev/graphql/connections.htm#sec-Pagination-algorithm */
function slice(ids: string[], { first, last, after, before }: ConnectionArgs): string[] {
  const cursors = ids.map((id) => encodeCursor('Thing', id))
  const from = after ? cursors.indexOf(after) + 1 : 0
  const to = before ? cursors.indexOf(before) : ids.length
  const between = ids.slice(from, Math.max(from, to))
  return last == null ? between.slice(0, first ?? 20) : between.slice(Math.max(0, between.length - last))
}

const size = fc.option(fc.integer({ min: 0, max: 100 }))
const orders = fc.constantFrom('NEWEST_FIRST' as const, 'OLDEST_FIRST' as const)

test('a page is a slice of the whole list, in either order and direction', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 60 }),
      size,
      fc.boolean(),
      fc.nat(),
      fc.nat(),
      fc.boolean(),
      fc.boolean(),
      orders,
      async (numbers, count, backwards, a, b, hasAfter, hasBefore, order) => {
        const list = numbers.map(idOf).sort()
        if (order === 'NEWEST_FIRST') list.reverse()
        const cursors = list.map((id) => encodeCursor('Thing', id))
        const args: ConnectionArgs = {
          ...(backwards && count !== null ? { last: count } : { first: count }),
          after: hasAfter ? cursors[a % list.length] : null,
          before: hasBefore ? cursors[b % list.length] : null,
        }
        const { edges, pageInfo } = await read(numbers.map(idOf), args, order)
        expect(edges.map(({ node }) => node)).toEqual(slice(list, args))
        expect(pageInfo.startCursor).toBe(edges[0]?.cursor)
        expect(pageInfo.endCursor).toBe(edges.at(-1)?.cursor)
      },
    ),
  )
})

test('following endCursor until hasNextPage is false shows everything once, and back again', async () => {
  const ids = Array.from({ length: 45 }, (_, at) => idOf(at))
  const forth: string[] = []
  for (let after: string | undefined, more = true; more;) {
    const { edges, pageInfo } = await read(ids, { first: 10, after })
    forth.push(...edges.map(({ node }) => node))
    after = pageInfo.endCursor
    more = pageInfo.hasNextPage
  }
  expect(forth).toEqual(ids.toReversed())
  const back: string[] = []
  for (let before: string | undefined, more = true; more;) {
    const { edges, pageInfo } = await read(ids, { last: 10, before })
    back.unshift(...edges.map(({ node }) => node))
    before = pageInfo.startCursor
    more = pageInfo.hasPreviousPage
  }
  expect(back).toEqual(ids.toReversed())
})

test('20 is a page when nobody says how many', async () => {
  const ids = Array.from({ length: 45 }, (_, at) => idOf(at))
  expect((await read(ids, {})).edges).toHaveLength(20)
  expect(connectionCost({})).toEqual({ field: 1, multiplier: 20 })
})

test.each([{ first: -1 }, { first: 101 }, { last: 101 }, { first: 1, last: 1 }])('%j is BAD_REQUEST', async (args) => {
  await expect(read([], args)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
})

test.each([
  '',
  'nonsense',
  cursorOf(1).slice(1),
  encodeCursor('Other', idOf(1)),
  encodeCursor('Thing', '1'),
  encodeCursor('Thing', "' or 1=1 --"),
  encodeCursor('Thing', `${idOf(1)}:x`),
])('the cursor "%s" is BAD_CURSOR, and nothing is read', async (cursor) => {
  const neverRead = () => Promise.reject(new Error('read'))
  for (const args of [{ after: cursor }, { before: cursor }]) {
    await expect(readPage('Thing', args, neverRead, String)).rejects.toMatchObject({ code: 'BAD_CURSOR' })
  }
})

test('a connection costs its page, never more than 100 and never less than nothing', () => {
  expect(connectionCost({ first: 5 })).toEqual({ field: 1, multiplier: 5 })
  expect(connectionCost({ last: 50_000 })).toEqual({ field: 1, multiplier: 100 })
  expect(connectionCost({ first: -5 })).toEqual({ field: 1, multiplier: 0 })
})
