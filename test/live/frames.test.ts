/** How the rows of a read become frames, for any place of the reader and any holes that retention left. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Execution } from '../../src/engine/entities/execution.ts'
import { newUuid } from '../../src/ids.ts'
import { decodeFeedCursor } from '../../src/live/cursor.ts'
import { advance } from '../../src/live/frames.ts'
import type { ExecutionFrame, FeedEvent } from '../../src/live/frames.ts'

const id = newUuid()
const epoch = '0123456789ab'

/** The execution at `seq`, with those of its events that are left. */
function history(seq: number, removed: (seq: number) => boolean, ended: boolean) {
  const execution = { id, seq, endedAt: ended ? new Date() : null } as Execution
  const events = Array.from({ length: seq }, (_, index): FeedEvent => {
    return {
      seq: index + 1,
      type: 'step.started',
      at: new Date(),
      step: null,
      path: null,
      attempt: null,
      data: null,
      redacted: [],
    }
  }).filter((event) => !removed(event.seq))
  return {
    events,
    read: (after: number | undefined, limit: number) => ({
      ...{ execution, epoch },
      events: after === undefined ? [] : events.filter((event) => event.seq > after).slice(0, limit),
    }),
  }
}

/** Every frame that a reader at `from` gets until it stands still. */
function follow(read: ReturnType<typeof history>['read'], from: number | undefined, limit: number): ExecutionFrame[] {
  const frames: ExecutionFrame[] = []
  for (let position = from, steps = 0; steps < 100; steps += 1) {
    const step = advance(position === undefined ? undefined : { seq: position, epoch }, read(position, limit))
    frames.push(...step.frames)
    if (step.position === position || frames.at(-1)?.kind === 'end') return frames
    position = step.position
  }
  throw new Error('it never stands still')
}

const kinds = (frames: readonly ExecutionFrame[]) => frames.map(({ kind }) => kind)

test('a new reader gets a snapshot, and the end at once when the execution has ended', () => {
  expect(kinds(follow(history(4, () => false, false).read, undefined, 500))).toEqual(['snapshot'])
  expect(kinds(follow(history(4, () => false, true).read, undefined, 500))).toEqual(['snapshot', 'end'])
})

test('a reader gets what follows its cursor, each event once, then the end', () => {
  const { read } = history(7, () => false, true)
  const frames = follow(read, 2, 2)
  expect(kinds(frames)).toEqual(['delta', 'delta', 'delta', 'end'])
  expect(frames.flatMap((frame) => (frame.kind === 'delta' ? frame.events.map(({ seq }) => seq) : []))).toEqual([3, 4, 5, 6, 7])
})

test('a reader at the end of an ended execution gets the end alone', () => {
  expect(kinds(follow(history(7, () => false, true).read, 7, 500))).toEqual(['end'])
})

test('a cursor ahead of the database is a gap, then a snapshot', () => {
  const frames = follow(history(3, () => false, false).read, 9, 500)
  expect(frames).toMatchObject([{ kind: 'gap', reason: 'RESTORED' }, { kind: 'snapshot' }])
  expect(frames.map(({ cursor }) => decodeFeedCursor(cursor, id).seq)).toEqual([9, 3])
})

test('events that retention removed are a gap, then a snapshot, then the events that are left', () => {
  const frames = follow(history(9, (seq) => seq <= 5, true).read, 2, 3)
  expect(frames).toMatchObject([
    { kind: 'gap', reason: 'RETENTION' },
    { kind: 'snapshot' },
    { kind: 'delta', events: [{ seq: 6 }, { seq: 7 }, { seq: 8 }] },
    { kind: 'delta', events: [{ seq: 9 }] },
    { kind: 'end' },
  ])
  expect(frames.slice(0, 2).map(({ cursor }) => decodeFeedCursor(cursor, id).seq)).toEqual([2, 5])
})

test('whatever is missing, every event that is left after the cursor comes once and in order, and cursors never go back', () => {
  const holes = fc.uniqueArray(fc.integer({ min: 1, max: 40 }))
  fc.assert(
    fc.property(
      fc.nat(40),
      holes,
      fc.boolean(),
      fc.option(fc.nat(45), { nil: undefined }),
      fc.integer({ min: 1, max: 6 }),
      (seq, removed, ended, from, limit) => {
        const { events, read } = history(seq, (each) => removed.includes(each), ended)
        const frames = follow(read, from, limit)
        const got = frames.flatMap((frame) => (frame.kind === 'delta' ? frame.events : []))
        expect(got).toEqual(from === undefined ? [] : events.filter((event) => event.seq > from))
        // a restore alone takes a reader back, and its gap is still where the reader was
        const own = frames.filter((frame) => frame.kind !== 'gap' || frame.reason !== 'RESTORED')
        const places = own.map(({ cursor }) => decodeFeedCursor(cursor, id).seq)
        expect(places).toEqual(places.toSorted((a, b) => a - b))
        for (const [index, frame] of own.entries())
          if ('execution' in frame) expect(frame.execution.seq).toBeGreaterThanOrEqual(places[index]!)
        if (ended) expect(frames.at(-1)?.kind).toBe('end')
      },
    ),
  )
})
