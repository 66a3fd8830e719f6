/** Whatever is lost on the way, what a reader has put together is the history in the table. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { executionTopic } from '../../src/engine/engine.ts'
import { Execution } from '../../src/engine/entities/execution.ts'
import { decodeFeedCursor, encodeFeedCursor } from '../../src/live/cursor.ts'
import type { FeedEvent } from '../../src/live/frames.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from '../harness/test-database.ts'
import { masks, reader, steeredAccess } from './access.ts'
import { countedBus } from './counted-bus.ts'
import { commitEvents, startExecution } from './history.ts'
import { pulledFeeds } from '../harness/pulled-feeds.ts'
import type { PulledFeed, PulledFeeds } from '../harness/pulled-feeds.ts'

const { database } = await testDatabase({ entities: [Execution] })

/** A client: keeps the history it was told, and resumes from any place of it. */
class Reader {
  readonly history: FeedEvent[] = []
  ended = false
  #feed: PulledFeed | undefined
  #reading: Promise<void> = Promise.resolve()
  readonly #feeds: PulledFeeds
  readonly #executionId: string

  constructor(feeds: PulledFeeds, executionId: string) {
    this.#feeds = feeds
    this.#executionId = executionId
  }

  /** Leaves, forgets what came after `seq`, and resumes there. */
  async resume(seq: number): Promise<void> {
    await this.#feed?.return()
    await this.#reading
    this.history.length = Math.min(seq, this.history.length)
    this.#feed = await this.#feeds.openExecutionFeed({
      executionId: this.#executionId,
      after: encodeFeedCursor(this.#executionId, this.history.length),
      principal: reader(),
    })
    this.#reading = this.#read(this.#feed)
  }

  async #read(feed: PulledFeed): Promise<void> {
    for await (const frame of feed) {
      if (frame.kind === 'delta') {
        expect(frame.events[0]?.seq).toBe(this.history.length + 1)
        this.history.push(...frame.events)
        expect(decodeFeedCursor(frame.cursor, this.#executionId)).toBe(this.history.length)
        expect(frame.execution.seq).toBeGreaterThanOrEqual(this.history.length)
      } else {
        expect(frame).toMatchObject({ kind: 'end', reason: 'FINISHED' })
        this.ended = true
      }
    }
  }

  finished(): Promise<void> {
    return this.#reading
  }
}

const STEPS = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant('commit'), count: fc.integer({ min: 1, max: 700 }), rings: fc.nat(2) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut'), at: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep') }) },
  ),
  { maxLength: 12 },
)

test('rings lost or doubled, readers cut off and resumed anywhere: every history is the one in the table', async () => {
  const property = fc.asyncProperty(STEPS, async (steps) => {
    const bus = countedBus()
    const feeds = pulledFeeds({ database, bus, masks, ...steeredAccess(), log: createLog('silent') })
    const id = await startExecution(database)
    const readers = [new Reader(feeds, id), new Reader(feeds, id)] as const
    for (const reader of readers) await reader.resume(0)
    for (const step of steps) {
      if (step.kind === 'sweep') await feeds.sweep()
      else if (step.kind === 'cut') await readers[0].resume(Math.floor(step.at * readers[0].history.length))
      else {
        const seq = await commitEvents(database, id, step.count)
        for (let ring = 0; ring < step.rings; ring += 1) bus.ring(executionTopic(id), String(seq))
      }
    }
    await commitEvents(database, id, 1, true)
    await feeds.sweep()
    await Promise.all(readers.map((reader) => reader.finished()))

    const table = await historyOf(database, id)
    for (const reader of readers) expect(reader).toMatchObject({ history: table, ended: true })
    expect(feeds.size).toBe(0)
    expect(bus.listeners()).toBe(0)
  })
  await fc.assert(property, { numRuns: 40 })
}, 60_000)

test('a reader keeps up with two writers that commit and ring as fast as they can', async () => {
  const bus = countedBus()
  const feeds = pulledFeeds({ database, bus, masks, ...steeredAccess(), log: createLog('silent') })
  const id = await startExecution(database)
  const reader = new Reader(feeds, id)
  await reader.resume(0)
  const write = async () => {
    for (let commit = 0; commit < 150; commit += 1)
      bus.ring(executionTopic(id), String(await commitEvents(database, id, 1 + (commit % 3))))
  }
  await Promise.all([write(), write()])
  bus.ring(executionTopic(id), String(await commitEvents(database, id, 1, true)))
  await reader.finished()
  expect(reader.history).toEqual(await historyOf(database, id))
})

function historyOf(from: Database, id: string): Promise<FeedEvent[]> {
  return from.query<FeedEvent>(
    `select seq, type, at, step, path, attempt, data, '[]'::json as redacted from sluice.events where execution_id = $1 order by seq`,
    [id],
  )
}
