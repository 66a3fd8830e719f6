/** Whatever is lost on the way, what a reader has put together is the history in the table: over each bus, and at two nodes. */
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { executionTopic } from '../../src/engine/engine.ts'
import { Execution } from '../../src/engine/entities/execution.ts'
import type { Bus } from '../../src/fleet/bus.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createPostgresBus } from '../../src/fleet/postgres-bus.ts'
import { createRedisBus } from '../../src/fleet/redis-bus.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { decodeFeedCursor, encodeFeedCursor } from '../../src/live/cursor.ts'
import type { FeedEvent } from '../../src/live/frames.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { testDatabase } from '../harness/test-database.ts'
import { masks, reader, steeredAccess } from './access.ts'
import { countedBus } from './counted-bus.ts'
import { commitEvents, startExecution } from './history.ts'
import { pulledFeeds } from '../harness/pulled-feeds.ts'
import type { PulledFeed, PulledFeeds } from '../harness/pulled-feeds.ts'

const { database, connection } = await testDatabase({ entities: [Execution] })
const log = createLog('silent')
const redisServer = hasRedis ? await testRedis() : undefined

/** Two nodes' ways to each other. */
const BUSES = [
  {
    name: 'the local bus',
    here: true,
    runs: 15,
    open: async () => {
      const bus = createLocalBus(log)
      return [bus, bus] as const
    },
  },
  {
    name: 'the bus over PostgreSQL',
    here: true,
    runs: 8,
    open: async () => {
      const both = [createPostgresBus({ database, connection, log }), createPostgresBus({ database, connection, log })] as const
      await Promise.all(both.map((bus) => bus.listening()))
      return both
    },
  },
  {
    name: 'the bus over Redis',
    here: hasRedis,
    runs: 8,
    open: async () => {
      const redis = await connectRedis(redisServer!.url, log)
      onTestFinished(() => redis.close())
      const both = [createRedisBus({ redis, log }), createRedisBus({ redis, log })] as const
      await Promise.all(both.map((bus) => bus.listening()))
      return both
    },
  },
]

/** A client: keeps the history it was told, and resumes from any place of it. */
class Reader {
  readonly history: FeedEvent[] = []
  ended = false
  #feed: PulledFeed | undefined
  #reading: Promise<void> = Promise.resolve()
  readonly #executionId: string

  constructor(executionId: string) {
    this.#executionId = executionId
  }

  /** Leaves, forgets what came after `seq`, and resumes there, at this node. */
  async resume(seq: number, feeds: PulledFeeds): Promise<void> {
    await this.#feed?.return()
    await this.#reading
    this.history.length = Math.min(seq, this.history.length)
    this.#feed = await feeds.openExecutionFeed({
      executionId: this.#executionId,
      after: encodeFeedCursor(this.#executionId, { seq: this.history.length, epoch: undefined }),
      principal: reader(),
    })
    this.#reading = this.#read(this.#feed)
  }

  async #read(feed: PulledFeed): Promise<void> {
    for await (const frame of feed) {
      if (frame.kind === 'delta') {
        expect(frame.events[0]?.seq).toBe(this.history.length + 1)
        this.history.push(...frame.events)
        expect(decodeFeedCursor(frame.cursor, this.#executionId).seq).toBe(this.history.length)
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
      arbitrary: fc.record({
        kind: fc.constant('commit'),
        count: fc.integer({ min: 1, max: 700 }),
        rings: fc.nat(2),
        node: fc.nat(1),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('cut'), at: fc.double({ min: 0, max: 1, noNaN: true }), node: fc.nat(1) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep') }) },
  ),
  { maxLength: 12 },
)

const nodeOn = (bus: Bus): PulledFeeds => pulledFeeds({ database, bus, masks, ...steeredAccess(), log })

for (const { name, here, open, runs } of BUSES)
  describe.skipIf(!here)(`over ${name}`, () => {
    test('rings lost or doubled, readers cut off and resumed anywhere: every history is the one in the table', async () => {
      const buses = await open()
      onTestFinished(() => Promise.all(buses.map((bus) => bus.close())).then(() => undefined))
      const property = fc.asyncProperty(STEPS, async (steps) => {
        const nodes = buses.map(nodeOn)
        const id = await startExecution(database)
        const readers = [new Reader(id), new Reader(id)] as const
        for (const [at, reader] of readers.entries()) await reader.resume(0, nodes[at]!)
        for (const step of steps) {
          if (step.kind === 'sweep') await Promise.all(nodes.map((node) => node.sweep()))
          else if (step.kind === 'cut')
            await readers[0].resume(Math.floor(step.at * readers[0].history.length), nodes[step.node]!)
          else {
            const seq = await commitEvents(database, id, step.count)
            for (let ring = 0; ring < step.rings; ring += 1) buses[step.node]!.ring(executionTopic(id), String(seq))
          }
        }
        await commitEvents(database, id, 1, true)
        await Promise.all(nodes.map((node) => node.sweep()))
        await Promise.all(readers.map((reader) => reader.finished()))

        const table = await historyOf(database, id)
        for (const reader of readers) expect(reader).toMatchObject({ history: table, ended: true })
        expect(nodes.map(({ size }) => size)).toEqual([0, 0])
      })
      await fc.assert(property, { numRuns: runs })
    }, 60_000)

    test('what is committed at one node is told at the other, without a sweep', async () => {
      const [here, there] = await open()
      onTestFinished(() => Promise.all([here.close(), there.close()]).then(() => undefined))
      const id = await startExecution(database)
      const reader = new Reader(id)
      await reader.resume(0, nodeOn(there))
      here.ring(executionTopic(id), String(await commitEvents(database, id, 3)))
      await expect.poll(() => reader.history.length).toBe(3)
      here.ring(executionTopic(id), String(await commitEvents(database, id, 1, true)))
      await reader.finished()
    })
  })

test('a reader keeps up with two writers that commit and ring as fast as they can', async () => {
  const bus = countedBus()
  const feeds = nodeOn(bus)
  const id = await startExecution(database)
  const reader = new Reader(id)
  await reader.resume(0, feeds)
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
