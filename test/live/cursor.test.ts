/** Cursors of feeds: what comes back out of them, and what is refused. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { decodeFeedCursor, encodeFeedCursor } from '../../src/live/cursor.ts'

const badCursor = expect.objectContaining({ code: 'BAD_CURSOR' })
const SEQ = fc.integer({ min: 0, max: 2 ** 31 - 1 })

test('a cursor comes back as the seq it was made of', () => {
  fc.assert(
    fc.property(fc.uuid(), SEQ, (id, seq) => {
      expect(decodeFeedCursor(encodeFeedCursor(id, seq), id)).toBe(seq)
    }),
  )
})

test("the cursor of another execution's feed is refused", () => {
  const [mine, other] = [newUuid(), newUuid()]
  expect(() => decodeFeedCursor(encodeFeedCursor(other, 3), mine)).toThrow(badCursor)
})

test('whatever was not given out is refused', () => {
  const id = newUuid()
  const given = encodeFeedCursor(id, 12)
  const text = (inside: string) => Buffer.from(inside).toString('base64url')
  const bad = ['', ' ', '12', `${given}=`, ` ${given}`, `${given}A`, given.slice(1), text(`1:${id}:-1`), text(`1:${id}:01`)]
  bad.push(
    text(`1:${id}:2147483648`),
    text(`1:${id}:1.5`),
    text(`2:${id}:1`),
    text(`1:${id.toUpperCase()}:1`),
    text(`1:${id}:1:1`),
  )
  bad.push(Buffer.from(`1:${id}:1\n`).toString('base64url'), 'x'.repeat(1_000_000))
  for (const cursor of bad) expect(() => decodeFeedCursor(cursor, id), cursor.slice(0, 80)).toThrow(badCursor)
  fc.assert(
    fc.property(fc.string(), (cursor) => {
      expect(() => decodeFeedCursor(cursor, id)).toThrow(badCursor)
    }),
  )
})
