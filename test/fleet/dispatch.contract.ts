/** What every dispatch keeps, with the claims of real workers behind it; and what those by BullMQ keep besides. */
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { claimSteps } from '../../src/engine/claim-steps.ts'
import { createClaimer } from '../../src/engine/claimer.ts'
import type { Bus } from '../../src/fleet/bus.ts'
import type { Dispatch, Serving } from '../../src/fleet/dispatch.ts'
import { WORK_TOPIC } from '../../src/fleet/postgres-dispatch.ts'
import type { RedisClient } from '../../src/fleet/redis-connection.ts'
import { QUEUE, queuePrefix } from '../../src/fleet/redis-doorbells.ts'
import { newUuid } from '../../src/ids.ts'
import { DEFAULT_POOL } from '../../src/language/around/pool.ts'
import { createLog } from '../../src/log.ts'
import type { TestDatabase } from '../harness/test-database.ts'

const silent = createLog('silent')

/** What the workers of a test claim from. */
export type Ground = Pick<TestDatabase, 'database' | 'ownerQuery'>

export const offerAll = (dispatch: Dispatch, ids: readonly string[], priority = 0): void => {
  for (const executionId of ids) dispatch.offer({ pool: DEFAULT_POOL, executionId, version: 1, priority })
}

const sorted = (...lists: string[][]): string[] => lists.flat().toSorted()

interface TestWorker {
  held: string[]
  /** their paths */
  steps: string[]
  /** it holds nothing any more, and says so */
  finishAll(): void
  serving: Serving
}

const openGround = ({ database, ownerQuery }: Ground) => {
  async function startWorker(
    dispatch: Dispatch,
    { maxHeld = 100, pools = [DEFAULT_POOL], fullOfSteps = false } = {},
  ): Promise<TestWorker> {
    const workerId = newUuid()
    await database.query(`insert into sluice.workers (id, expires_at) values ($1, now() + interval '1 hour')`, [workerId])
    const held: string[] = []
    const steps: string[] = []
    const claimer = createClaimer({
      ...{ database, workerId, pools, maxHeld, held: () => held.length, mayClaim: () => true, claimed() {}, log: silent },
      async hold(ids) {
        held.push(...ids)
      },
    })
    async function takeSteps(pool: string, wanted: number): Promise<number> {
      if (fullOfSteps) return wanted
      const claimed = await claimSteps(database, { worker: workerId, pool, wanted, afterInitiator: null })
      steps.push(...claimed.map(({ path }) => path))
      return 0
    }
    const serving = dispatch.serve(pools, {
      ...{ room: claimer.room, take: claimer.take, takeSteps, hasRoomForSteps: () => !fullOfSteps },
      look: () => void Promise.all([claimer.look(true), ...pools.map((pool) => takeSteps(pool, 1))]).catch(() => {}),
    })
    onTestFinished(() => serving.stop())
    return {
      ...{ held, steps },
      finishAll() {
        held.length = 0
        serving.wake()
        // what a worker does whenever it has room again for as much as it took
        void claimer.look(true)
      },
      serving,
    }
  }

  /** So many executions that are ready, in the order of their ids. */
  async function makeReady(count: number, priority = 0): Promise<string[]> {
    const rows = await ownerQuery<{ id: string }>(
      `insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, priority, last_event_at, state_bytes, steps_total, created_at)
       select uuidv7(), uuidv7(), uuidv7(), uuidv7(), 'PENDING', $2, now(), 2, 1, now() from generate_series(1, $1::integer) returning id`,
      [count, priority],
    )
    return rows.map(({ id }) => id)
  }
  return { startWorker, makeReady }
}

/** What is opened twice is two processes of one fleet; every execution is gone after each test. */
export function describeDispatch(name: string, open: () => Promise<Dispatch>, ground: Ground, here = true): void {
  const { database, ownerQuery } = ground
  const { startWorker, makeReady } = openGround(ground)

  describe.skipIf(!here)(`dispatch ${name}`, () => {
    afterEach(() => ownerQuery('delete from sluice.executions'))

    async function openDispatch(): Promise<Dispatch> {
      const dispatch = await open()
      onTestFinished(() => dispatch.close())
      return dispatch
    }

    async function offerStep(dispatch: Dispatch, executionId: string, step: string): Promise<void> {
      await ownerQuery(
        `insert into sluice.pooled_steps (execution_id, path, attempt, pool, initiator_id, priority, epoch)
         values ($1, $2, 1, 'gpu', uuidv7(), 0, 0)`,
        [executionId, step],
      )
      dispatch.offer({ pool: 'gpu', executionId, version: 1, priority: 0, step })
    }

    test('what one process offers is claimed by a worker of another', async () => {
      const [api, other] = [await openDispatch(), await openDispatch()]
      const worker = await startWorker(other)
      const ids = await makeReady(30)
      offerAll(api, ids)
      await expect.poll(() => sorted(worker.held)).toEqual(sorted(ids))
    })

    test('each is claimed once, however many workers there are and however often it is offered', async () => {
      const api = await openDispatch()
      const workers = await Promise.all([1, 2, 3].map(async () => startWorker(await openDispatch())))
      const ids = await makeReady(60)
      for (let times = 0; times < 3; times += 1) offerAll(api, ids)
      await expect.poll(() => sorted(...workers.map(({ held }) => held))).toEqual(sorted(ids))
      const epochs = await database.query('select from sluice.executions where epoch <> 1')
      expect(epochs).toEqual([])
    })

    test('a worker takes no more than it has room for; what is left is for whoever has room, and for itself later', async () => {
      const api = await openDispatch()
      const full = await startWorker(await openDispatch(), { maxHeld: 2 })
      const ids = await makeReady(10)
      offerAll(api, ids)
      await expect.poll(() => full.held.length).toBe(2)
      const first = [...full.held]
      full.finishAll()
      await expect.poll(() => full.held.length).toBe(2)
      expect(full.held.some((id) => first.includes(id))).toBe(false)
      expect(await database.query('select from sluice.executions where owner is not null')).toHaveLength(4)
    })

    test('offers of what is gone, held, waiting or ended change nothing, and the next one is taken', async () => {
      const dispatch = await openDispatch()
      const [held, sleeping, ready] = await makeReady(3)
      await ownerQuery(`update sluice.executions set wake_at = now() + interval '1 hour' where id = $1`, [sleeping])
      await ownerQuery(`update sluice.executions set owner = $2, status = 'RUNNING' where id = $1`, [held, newUuid()])
      const worker = await startWorker(dispatch)
      offerAll(dispatch, [newUuid(), held!, sleeping!])
      offerAll(dispatch, [ready!])
      await expect.poll(() => worker.held).toEqual([ready])
      expect(await database.query('select from sluice.executions where epoch > 0')).toHaveLength(1)
    })

    test('what sleeps and was told something is taken too', async () => {
      const dispatch = await openDispatch()
      const [told, sleeping] = await makeReady(2)
      await ownerQuery(`update sluice.executions set wake_at = now() + interval '1 hour'`)
      await ownerQuery(
        `insert into sluice.inbox (execution_id, key, sender_id, kind, body) values ($1, 'x', uuidv7(), 'childEnded', '{}')`,
        [told],
      )
      const worker = await startWorker(dispatch)
      offerAll(dispatch, [sleeping!, told!])
      await expect.poll(() => worker.held).toEqual([told])
      expect(await database.query('select from sluice.executions where epoch > 0')).toHaveLength(1)
    })

    test('a step of a pool is offered to its workers, whoever has the execution', async () => {
      const api = await openDispatch()
      const [usual, gpu] = [
        await startWorker(await openDispatch()),
        await startWorker(await openDispatch(), { pools: ['gpu', 'eu'] }),
      ]
      const [executionId] = await makeReady(1)
      await ownerQuery(`update sluice.executions set owner = $2, status = 'RUNNING' where id = $1`, [executionId, newUuid()])
      for (const step of ['a', 'b.items[7]']) await offerStep(api, executionId!, step)
      await expect.poll(() => gpu.steps.toSorted()).toEqual(['a', 'b.items[7]'])
      expect([usual.held, usual.steps, gpu.held]).toEqual([[], [], []])
    })

    test('a step goes to a worker that has room for it, whoever else of its pool has room for executions alone', async () => {
      const [api, of, other] = [await openDispatch(), await openDispatch(), await openDispatch()]
      const full = await startWorker(of, { pools: ['gpu'], fullOfSteps: true })
      const idle = await startWorker(other, { pools: ['gpu'] })
      const [executionId] = await makeReady(1)
      await ownerQuery(`update sluice.executions set owner = $2, status = 'RUNNING' where id = $1`, [executionId, newUuid()])
      // nobody here looks by itself
      for (let n = 1; n <= 10; n += 1) {
        await offerStep(api, executionId!, `s${n}`)
        await expect.poll(() => idle.steps.length).toBe(n)
      }
      expect(full.steps).toEqual([])
    })

    test('who has stopped takes nothing more; others do', async () => {
      const api = await openDispatch()
      const stopped = await startWorker(await openDispatch())
      await stopped.serving.stop()
      const ids = await makeReady(5)
      offerAll(api, ids)
      const worker = await startWorker(await openDispatch())
      // a worker looks for itself when it starts
      worker.finishAll()
      await expect.poll(() => sorted(worker.held)).toEqual(sorted(ids))
      expect(stopped.held).toEqual([])
    })

    test('after closing, offers do nothing and nothing throws', async () => {
      const dispatch = await openDispatch()
      await dispatch.close()
      offerAll(dispatch, [newUuid()])
      await dispatch.close()
    })
  })
}

export interface BullMqGround extends Ground {
  /** rung by who dispatches without Redis */
  readonly bus: Bus
  /** settles when Redis is there */
  client(): Promise<RedisClient>
}

/** What is opened twice is two processes of one fleet; Redis has nothing when a test begins, and every execution is gone after it. */
export function describeBullMq(name: string, open: () => Promise<Dispatch>, ground: BullMqGround, here = true): void {
  const { ownerQuery, bus } = ground
  const { startWorker, makeReady } = openGround(ground)

  describe.skipIf(!here)(`dispatch ${name}`, () => {
    afterEach(async () => {
      for (const node of nodesOf(await ground.client())) await node.flushall()
      await ownerQuery('delete from sluice.executions')
    })
    async function openQueue(pool: string): Promise<{ queue: Queue; client: RedisClient }> {
      const client = await ground.client()
      const queue = new Queue(QUEUE, { connection: client, prefix: queuePrefix(pool) })
      onTestFinished(() => queue.close())
      return { queue, client }
    }
    async function openDispatch(): Promise<Dispatch> {
      const dispatch = await open()
      onTestFinished(() => dispatch.close())
      return dispatch
    }

    test('jobs carry ids and nothing else, each once, and leave nothing behind when they are taken (D2)', async () => {
      const dispatch = await openDispatch()
      const pool = 'ids-only'
      const { queue, client } = await openQueue(pool)
      const [id] = await makeReady(1)
      await ownerQuery('update sluice.executions set pool = $1', [pool])
      const offer = { pool, executionId: id!, version: 7, priority: 0 }
      dispatch.offer(offer)
      dispatch.offer(offer)
      await expect.poll(() => queue.getJobCountByTypes('prioritized')).toBe(1)
      const [job] = await queue.getJobs(['prioritized'])
      expect(job).toMatchObject({ id: `${id}-7`, data: null })
      const text = JSON.stringify(await client.hgetall(`${queuePrefix(pool)}:${QUEUE}:${id}-7`))
      expect(text.replaceAll(id!, '')).not.toMatch(/[0-9a-f]{8}-/)
      const worker = await startWorker(dispatch, { pools: [pool] })
      await expect.poll(() => worker.held).toEqual([id])
      // those behind it, which are taken out together, leave nothing either
      const behind = await makeReady(20)
      await ownerQuery('update sluice.executions set pool = $1 where id = any($2)', [pool, behind])
      for (const executionId of behind) dispatch.offer({ ...offer, executionId })
      await expect.poll(() => sorted(worker.held)).toEqual(sorted([id!], behind))
      await expect.poll(async () => keysOf(client, `${queuePrefix(pool)}*-*-*-*`)).toEqual([])
      await expect.poll(() => queue.getJobCountByTypes('completed', 'failed', 'active', 'wait', 'prioritized')).toBe(0)
    })

    test('the higher priority is taken first, and the older of the same', async () => {
      const dispatch = await openDispatch()
      const { queue } = await openQueue(DEFAULT_POOL)
      const [low, middle, high] = [await makeReady(2, -100), await makeReady(2), await makeReady(2, 100)]
      offerAll(dispatch, low, -100)
      offerAll(dispatch, middle)
      offerAll(dispatch, high, 100)
      await expect.poll(() => queue.getJobCountByTypes('prioritized')).toBe(6)
      const worker = await startWorker(dispatch, { maxHeld: 1 })
      const order: string[] = []
      while (order.length < 6) {
        await expect.poll(() => worker.held.length).toBe(1)
        order.push(worker.held.pop()!)
        worker.serving.wake()
      }
      expect(order).toEqual([...high, ...middle, ...low])
    })

    test('the offers of a pool go to those who serve it', async () => {
      const dispatch = await openDispatch()
      const [plain, special] = [await startWorker(dispatch), await startWorker(dispatch, { pools: ['gpu', 'big'] })]
      const ids = await makeReady(3)
      for (const [at, pool] of [DEFAULT_POOL, 'gpu', 'big'].entries()) {
        await ownerQuery('update sluice.executions set pool = $2 where id = $1', [ids[at], pool])
        dispatch.offer({ pool, executionId: ids[at]!, version: 1, priority: 0 })
      }
      await expect.poll(() => sorted(special.held)).toEqual(sorted(ids.slice(1)))
      await expect.poll(() => plain.held).toEqual([ids[0]])
    })

    test('jobs that somebody else put there are thrown away', async () => {
      const dispatch = await openDispatch()
      const { queue } = await openQueue(DEFAULT_POOL)
      await queue.add('x', { any: 'thing' }, { jobId: `'; drop table-1` })
      await queue.add('x', null)
      const [id] = await makeReady(1)
      offerAll(dispatch, [id!])
      const worker = await startWorker(dispatch)
      await expect.poll(() => worker.held).toEqual([id])
      await expect.poll(() => queue.getJobCountByTypes('active', 'wait', 'prioritized', 'failed')).toBe(0)
    })

    test('a worker that stops while it is full leaves what it had fetched to the others', async () => {
      const dispatch = await openDispatch()
      const full = await startWorker(dispatch, { maxHeld: 1 })
      const ids = await makeReady(4)
      offerAll(dispatch, ids)
      await expect.poll(() => full.held.length).toBe(1)
      await full.serving.stop()
      const other = await startWorker(dispatch)
      await expect.poll(() => sorted(other.held, full.held)).toEqual(sorted(ids))
    })

    test('a process without it rings, and its workers look too: both kinds work side by side', async () => {
      const dispatch = await openDispatch()
      const worker = await startWorker(dispatch)
      const ids = await makeReady(3)
      bus.ring(WORK_TOPIC)
      await expect.poll(() => sorted(worker.held)).toEqual(sorted(ids))
    })
  })
}

const nodesOf = (client: RedisClient): Redis[] => (client instanceof Redis ? [client] : client.nodes('master'))

const keysOf = async (client: RedisClient, pattern: string): Promise<string[]> =>
  (await Promise.all(nodesOf(client).map((node) => node.keys(pattern)))).flat()
