/** What the client makes of frames: in whatever pieces and however often they come, the view is the history, each fact once. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse, validate } from 'graphql'
import { agentRequestsFeed, agentRequestsFeedOf } from '../../clients/feed/agent-requests-feed.ts'
import { auditFeed, auditFeedOf } from '../../clients/feed/audit-feed.ts'
import { createEventReader } from '../../clients/feed/event-stream.ts'
import { executionFeed, executionFeedOf, holesOf } from '../../clients/feed/execution-feed.ts'
import { executionsFeed, executionsFeedOf } from '../../clients/feed/executions-feed.ts'
import { judge, RETRY_TIMES, waitMs } from '../../clients/feed/retry.ts'
import { schema } from '../../src/api/schema.ts'
import { initialState, reduce } from '../../clients/feed/state.ts'
import type { FeedState, Frame } from '../../clients/feed/state.ts'

interface Small {
  readonly version: number
}
interface Step {
  readonly path: string
  readonly at: number
}
interface Event {
  readonly seq: number
}
const kind = executionFeedOf<Small, Step, Event>('')

/** The delta that brings a reader from `after` to `upTo`; one step a seq, and each event changes one of three steps. */
function deltaOf(after: number, upTo: number): Frame & { execution: Small; events: Event[]; steps: Step[] } {
  const seqs = Array.from({ length: upTo - after }, (_, at) => after + 1 + at)
  const steps = new Map(seqs.map((seq) => [`s${seq % 3}`, seq]))
  return {
    ...{ __typename: 'FeedDelta', cursor: String(upTo), execution: { version: upTo } },
    events: seqs.map((seq) => ({ seq })),
    steps: [...steps].map(([path, at]) => ({ path, at })),
  }
}
const all = (state: FeedState<unknown>, frames: readonly Frame[]): FeedState<unknown> =>
  frames.reduce((before, frame) => reduce(before, frame, kind as never), state)

const HISTORY = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 })
/** What was sent before may come again, from any frame on. */
const CUTS = fc.array(fc.record({ at: fc.nat(19), back: fc.nat(6) }), { maxLength: 8 })

test('frames cut off and sent again from any place make the same view as frames that come once', () => {
  fc.assert(
    fc.property(HISTORY, CUTS, (sizes, cuts) => {
      const ends = sizes.map((_, at) => sizes.slice(0, at + 1).reduce((sum, size) => sum + size, 0))
      const frames: Frame[] = ends.map((end, at) => deltaOf(ends[at - 1] ?? 0, end))
      const last = ends.at(-1)!
      const disturbed = frames.flatMap((frame, at) => {
        const again = cuts.filter((cut) => cut.at === at).map(({ back }) => frames.slice(Math.max(0, at - back), at))
        return [...again.flat(), frame]
      })
      const snapshot = { __typename: 'FeedSnapshot', cursor: '0', execution: { version: 0, steps: [] } }
      const once = all(initialState(kind), [snapshot, ...frames])
      expect(all(initialState(kind), [snapshot, ...disturbed])).toEqual(once)
      expect(once).toMatchObject({ status: 'live', cursor: String(last), view: { execution: { version: last } } })
      const { view } = once as FeedState<typeof kind.empty>
      expect(view.events.map(({ seq }) => seq)).toEqual(Array.from({ length: last }, (_, at) => at + 1))
      for (const { path, at } of view.steps) expect(at).toBe(Math.max(...range(last).filter((seq) => `s${seq % 3}` === path)))
    }),
  )
})
const range = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1)

test('pieces of the history offered in any order fill its holes, and never double it', () => {
  const pieces = fc.array(fc.tuple(fc.nat(30), fc.integer({ min: 1, max: 9 })), { maxLength: 12 })
  fc.assert(
    fc.property(pieces, (some) => {
      const view = some.reduce((held, [after, size]) => kind.take(held, deltaOf(after, after + size)), kind.empty)
      const had = new Set(some.flatMap(([after, size]) => deltaOf(after, after + size).events.map(({ seq }) => seq)))
      const seqs = view.events.map(({ seq }) => seq)
      expect(seqs).toEqual([...had].sort((a, b) => a - b))
      const missing = holesOf(view.events).flatMap(({ after, before }) => range(before - 1).filter((seq) => seq > after))
      expect(new Set([...seqs, ...missing])).toEqual(new Set(range(Math.max(0, ...seqs))))
      expect(view.execution?.version).toBe(some.length > 0 ? Math.max(...some.map(([after, size]) => after + size)) : undefined)
    }),
  )
})

test('a gap is told; after a restore the past is another one, and what was seen of it is gone', () => {
  const before = all(initialState(kind), [deltaOf(0, 5)])
  const retention = all(before, [
    { __typename: 'FeedGap', cursor: '9', reason: 'RETENTION' },
    { __typename: 'FeedSnapshot', cursor: '9', execution: { version: 12 } } as never,
    deltaOf(9, 12),
  ]) as FeedState<typeof kind.empty>
  expect(retention.gaps).toEqual([{ reason: 'RETENTION', after: '5' }])
  expect(holesOf(retention.view.events)).toEqual([{ after: 5, before: 10 }])
  const restored = all(before, [
    { __typename: 'FeedGap', cursor: '3', reason: 'RESTORED' },
    { __typename: 'FeedSnapshot', cursor: '3', execution: { version: 3 } } as never,
  ])
  expect(restored).toMatchObject({ cursor: '3', view: { execution: { version: 3 }, events: [] } })
})

test('only FINISHED and ACCESS_REVOKED end a feed; after them nothing changes it', () => {
  const live = all(initialState(kind), [deltaOf(0, 2)])
  const closed = (reason: string): Frame => ({ __typename: 'FeedClosed', cursor: '2', reason })
  for (const reason of ['TOKEN_EXPIRED', 'DRAINING']) {
    expect(all(live, [closed(reason)])).toMatchObject({ status: 'resuming', problem: reason, cursor: '2' })
  }
  const revoked = all(live, [closed('ACCESS_REVOKED')])
  expect(revoked).toMatchObject({ status: 'ended', ending: { reason: 'ACCESS_REVOKED', errors: [] } })
  const end = { __typename: 'FeedEnd', cursor: '2', reason: 'FINISHED', execution: { version: 9 } } as Frame
  expect(all(live, [end])).toMatchObject({
    status: 'ended',
    ending: { reason: 'FINISHED' },
    view: { execution: { version: 9 } },
  })
  expect(all(revoked, [deltaOf(2, 4)])).toBe(revoked)
})

test('the audit view holds the last events, each once', () => {
  const audit = auditFeedOf<{ id: string }>('', 5)
  const events = (...ids: number[]): object => ({ events: ids.map((id) => ({ id: String(id) })) })
  const parts = [events(1, 2, 3), events(3, 4), events(4, 5, 6, 7)]
  const view = parts.reduce<typeof audit.empty>((held, part) => audit.take(held, part), audit.empty)
  expect(view).toEqual({ events: [3, 4, 5, 6, 7].map((id) => ({ id: String(id) })) })
})

test('a stream of events cut anywhere is read the same, with every kind of line end', () => {
  const line = fc.stringMatching(/^[^\r\n]{0,12}$/)
  const event = fc.record({ event: fc.stringMatching(/^[a-z]{1,8}$/), data: fc.array(line, { minLength: 1, maxLength: 3 }) })
  const given = fc.tuple(fc.array(event, { maxLength: 6 }), fc.constantFrom('\n', '\r\n', '\r'), fc.array(fc.nat(200)))
  fc.assert(
    fc.property(given, ([events, end, cuts]) => {
      const text = events
        .map(({ event, data }) => [`id: 1`, `event: ${event}`, ...data.map((one) => `data: ${one}`), ': note', '', ''].join(end))
        .join('')
      const places = [0, ...cuts.filter((at) => at < text.length).sort((a, b) => a - b), text.length]
      const read = createEventReader()
      const found = places.slice(1).flatMap((to, at) => read(text.slice(places[at], to)))
      // the last line end may be half of one: what follows tells
      found.push(...read(': more\n'))
      expect(found).toEqual(events.map(({ event, data }) => ({ event, data: data.join('\n') })))
    }),
  )
})

test('tries are further and further apart, by chance, and never further than the longest', () => {
  fc.assert(
    fc.property(fc.nat(2_000), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const wait = waitMs(failures, RETRY_TIMES, random)
      expect(wait).toBeGreaterThanOrEqual(0)
      expect(wait).toBeLessThanOrEqual(RETRY_TIMES.longestMs)
      expect(waitMs(failures + 1, RETRY_TIMES, random)).toBeGreaterThanOrEqual(wait)
    }),
  )
  expect(waitMs(0, RETRY_TIMES, 1)).toBe(RETRY_TIMES.firstMs)
})

test('faults that pass are waited for, an expired token is renewed, everything else is final', () => {
  const of = (extensions: object) => judge([{ message: '', extensions: extensions as Record<string, unknown> }])
  expect(of({ code: 'RATE_LIMITED', retryAfterMs: 1_500 })).toEqual({ final: false, expired: false, waitMs: 1_500 })
  expect(of({ code: 'INTERNAL' })).toMatchObject({ final: false })
  expect(of({ code: 'UNAUTHENTICATED', reason: 'EXPIRED' })).toMatchObject({ final: false, expired: true })
  for (const code of ['NOT_FOUND', 'BAD_CURSOR', 'BAD_REQUEST', 'UNAUTHENTICATED'])
    expect(of({ code })).toMatchObject({ final: true })
  expect(judge([])).toMatchObject({ final: true })
})

const fields = { execution: 'id status version picture' }
const SOME = [fields, { ...fields, steps: 'path' }, { ...fields, events: 'seq at' }, { ...fields, steps: 'path', events: 'seq' }]
const OWN = SOME.map((some) => executionFeedOf(some))
test.each([executionFeed, executionsFeed, agentRequestsFeed, auditFeed, ...OWN])(
  'each document fits the schema',
  ({ document }) => {
    expect(validate(schema, parse(document)).map(({ message }) => message)).toEqual([])
  },
)

interface Numbered {
  readonly id: string
  readonly version: number
}
/** Many things change, one after the other: a snapshot of some place, then what changed, in pages cut anywhere and sent again. */
const CHANGES = fc.array(fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd'), open: fc.boolean() }), { maxLength: 30 })

test('executions and requests are shown as they are now, the newer version of each, whatever comes again', () => {
  const executions = executionsFeedOf<Numbered & { status: string }>('')
  const requests = agentRequestsFeedOf<Numbered & { status: string }>('')
  fc.assert(
    fc.property(CHANGES, fc.nat(30), CUTS, (changes, from, cuts) => {
      const things = changes.map(({ id, open }, at) => ({ id, version: at + 1, status: open ? 'OPEN' : 'DONE' }))
      const now = new Map(things.map((thing) => [thing.id, thing]))
      const then = new Map(things.slice(0, from).map((thing) => [thing.id, thing]))
      const isOpen = ({ status }: { status: string }): boolean => status === 'OPEN'
      const deltas = things.slice(from).map((thing) => ({
        ...{ __typename: 'ExecutionsDelta', requests: [thing] },
        ...(isOpen(thing) ? { executions: [thing] } : { left: [thing.id] }),
      }))
      // a page may come again at once, before the next one
      const frames = deltas.flatMap((delta, at) => [delta, ...cuts.filter((cut) => cut.at === at).map(() => delta)])
      const shown = frames.reduce(
        executions.take,
        executions.take(
          { executions: [{ id: 'z', version: 99, status: '' }] },
          {
            __typename: 'ExecutionsSnapshot',
            executions: [...then.values()].filter(isOpen),
          },
        ),
      )
      const wanted = [...now.values()].filter(isOpen).sort((a, b) => (a.id < b.id ? 1 : -1))
      expect(shown.executions).toEqual(wanted)
      const asked = frames.reduce(
        requests.take,
        requests.take(requests.empty, {
          __typename: 'AgentRequestsSnapshot',
          requests: [...then.values()].filter(isOpen),
          hasMore: true,
        }),
      )
      expect(asked).toEqual({ requests: wanted.toReversed(), hasMore: true })
    }),
  )
  const many = Array.from({ length: 5 }, (_, at) => ({ id: `e${at}`, version: 1, status: '' }))
  const few = executionsFeedOf<Numbered>('', 2)
  expect(few.take(few.empty, { executions: many }).executions.map(({ id }) => id)).toEqual(['e4', 'e3'])
})
