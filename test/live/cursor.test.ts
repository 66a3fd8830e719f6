/** Cursors of feeds: what comes back out of them, and what is refused. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { decodeFeedCursor, encodeFeedCursor, isForeign } from '../../src/live/cursor.ts'

const badCursor = expect.objectContaining({ code: 'BAD_CURSOR' })
const SEQ = fc.integer({ min: 0, max: 2 ** 31 - 1 })

const EPOCH = fc.option(fc.stringMatching(/^[0-9a-f]{12}$/), { nil: undefined })

test('a cursor comes back as the place it was made of, also one of before that names no installation', () => {
  fc.assert(
    fc.property(fc.uuid(), SEQ, EPOCH, (id, seq, epoch) => {
      expect(decodeFeedCursor(encodeFeedCursor(id, { seq, epoch }), id)).toEqual({ seq, epoch })
    }),
  )
})

test('only a cursor that names another installation is foreign', () => {
  expect(isForeign({ seq: 1, epoch: undefined }, '0123456789ab')).toBe(false)
  expect(isForeign({ seq: 1, epoch: '0123456789ab' }, '0123456789ab')).toBe(false)
  expect(isForeign({ seq: 1, epoch: '0123456789ac' }, '0123456789ab')).toBe(true)
})

test("the cursor of another execution's feed is refused", () => {
  const [mine, other] = [newUuid(), newUuid()]
  expect(() => decodeFeedCursor(encodeFeedCursor(other, { seq: 3, epoch: undefined }), mine)).toThrow(badCursor)
})

test('whatever was not given out is refused', () => {
  const id = newUuid()
  const given = encodeFeedCursor(id, { seq: 12, epoch: '0123456789ab' })
  const text = (inside: string) => Buffer.from(inside).toString('base64url')
  const bad = ['', ' ', '12', `${given}=`, ` ${given}`, `${given}A`, given.slice(1), text(`1:${id}:-1`), text(`1:${id}:01`)]
  bad.push(
    text(`1:${id}:2147483648`),
    text(`1:${id}:1.5`),
    text(`2:${id}:1`),
    text(`1:0123456789ab:${id}:1`),
    text(`2:0123456789a:${id}:1`),
    text(`2:0123456789AB:${id}:1`),
    text(`3:0123456789ab:${id}:1`),
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
