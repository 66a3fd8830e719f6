/** Packing rings into notifications. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { packRings, unpackRings } from '../../src/fleet/ring-batch.ts'
import type { Ring } from '../../src/fleet/ring-batch.ts'

const ring: fc.Arbitrary<Ring> = fc.oneof(
  fc.record({ topic: fc.string({ unit: 'binary', maxLength: 60 }) }),
  fc.record({ topic: fc.string({ maxLength: 60 }), payload: fc.string({ unit: 'binary', maxLength: 4_000 }) }),
)

test('every ring that fits comes out as it went in, in order, and no message is over the limit of NOTIFY', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.array(ring, { maxLength: 200 }), (origin, rings) => {
      const messages = packRings(origin, rings)
      for (const message of messages) expect(Buffer.byteLength(message)).toBeLessThan(8_000)
      const out = messages.map((message) => unpackRings(message))
      expect(out.every((batch) => batch?.origin === origin)).toBe(true)
      const fits = ({ topic, payload }: Ring): boolean => Buffer.byteLength(JSON.stringify([topic, payload])) < 7_800
      const topics = (list: readonly Ring[]): string[] => list.map(({ topic }) => topic)
      const all = out.flatMap((batch) => batch?.rings ?? [])
      expect(topics(all)).toEqual(topics(rings))
      expect(all.filter((_, at) => fits(rings[at]!))).toEqual(rings.filter(fits))
    }),
  )
})

test('messages are filled: 200 small rings go in two notifications', () => {
  const rings = Array.from({ length: 200 }, (_, at) => ({ topic: `execution:${at}`.padEnd(50, '.') }))
  expect(packRings('origin', rings)).toHaveLength(2)
})

test('a payload over the limit is left out and its ring stays', () => {
  const rings = packRings('origin', [{ topic: 'execution', payload: 'x'.repeat(9_000) }]).flatMap(
    (message) => unpackRings(message)?.rings ?? [],
  )
  expect(rings).toEqual([{ topic: 'execution' }])
})

test('a topic over the limit is dropped', () => {
  expect(packRings('origin', [{ topic: 'x'.repeat(9_000) }])).toEqual([])
})

test('what is longer than any message is not even read: whoever fills the bus with it costs nobody more than its length', () => {
  const rings = JSON.stringify(Array.from({ length: 2_000 }, () => ['topic']))
  expect(unpackRings(`{"from":"a","rings":${rings}}`)).toBeUndefined()
})

test.each(['', 'null', '[]', '{"from":1,"rings":[]}', '{"from":"a","rings":[1]}', '{"from":"a","rings":[["t",1]]}'])(
  'what no bus sent is not understood: %s',
  (message) => {
    expect(unpackRings(message)).toBeUndefined()
  },
)
