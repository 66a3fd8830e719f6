/** What every dispatch keeps, run against each of them; in a Redis Cluster: redis-cluster.faults.ts. */
import { Registry } from 'prom-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Dispatch } from '../../src/fleet/dispatch.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createPostgresDispatch } from '../../src/fleet/postgres-dispatch.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisDispatch } from '../../src/fleet/redis-dispatch.ts'
import { newUuid } from '../../src/ids.ts'
import { DEFAULT_POOL } from '../../src/language/around/pool.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { testDatabase } from '../harness/test-database.ts'
import { describeBullMq, describeDispatch, offerAll } from './dispatch.contract.ts'

const silent = createLog('silent')
const ground = await testDatabase()
const redisServer = hasRedis ? await testRedis() : undefined
const reached = redisServer && (await connectRedis(redisServer.url, silent)).reached
/** one for all: the instances of a dispatch are processes of one fleet */
const bus = createLocalBus(silent)

async function openRedisDispatch(): Promise<Dispatch> {
  const redis = await connectRedis(redisServer!.url, silent)
  onTestFinished(() => redis.close())
  return createRedisDispatch({ redis, bus, log: silent, registry: new Registry() })
}

describeDispatch('by PostgreSQL', async () => createPostgresDispatch(bus), ground)
describeDispatch('by BullMQ', openRedisDispatch, ground, hasRedis)
describeBullMq('by BullMQ', openRedisDispatch, { ...ground, bus, client: () => reached! }, hasRedis)

test.skipIf(!hasRedis)('by BullMQ: what is too much for a queue is told in one ring, and looked for', async () => {
  let looks = 0
  const taker = {
    room: () => 0,
    take: () => Promise.resolve(),
    hasRoomForSteps: () => true,
    takeSteps: () => Promise.resolve(0),
    look: () => void (looks += 1),
  }
  const serving = createPostgresDispatch(bus).serve(['many'], taker)
  const dispatch = await openRedisDispatch()
  for (let n = 0; n < 10_000; n += 1) dispatch.offer({ pool: 'many', executionId: newUuid(), version: 1, priority: 0 })
  await new Promise(setImmediate)
  const before = looks
  for (let n = 0; n < 12_000; n += 1) dispatch.offer({ pool: 'many', executionId: newUuid(), version: 1, priority: 0 })
  await expect.poll(() => looks).toBe(before + 1)
  await serving.stop()
  await dispatch.close()
})

describe('by PostgreSQL', () => {
  /** Workers that only count how often they are told to look. */
  function listen(rooms: readonly number[]) {
    const looks = rooms.map(() => 0)
    const room = [...rooms]
    const roomForSteps = rooms.map((places) => places > 0)
    const servings = rooms.map((_, at) => {
      const dispatch = createPostgresDispatch(ownBus)
      const serving = dispatch.serve([DEFAULT_POOL], {
        ...{ room: () => room[at]!, take: () => Promise.resolve() },
        ...{ hasRoomForSteps: () => roomForSteps[at]!, takeSteps: () => Promise.resolve(0) },
        look: () => void (looks[at]! += 1),
      })
      onTestFinished(async () => {
        await serving.stop()
        await dispatch.close()
      })
      return serving
    })
    return { looks, room, roomForSteps, servings }
  }
  const ownBus = createLocalBus(silent)
  const rings = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))
  const offer = (dispatch: Dispatch): void => offerAll(dispatch, [newUuid()])
  const offerStep = (dispatch: Dispatch): void =>
    dispatch.offer({ pool: DEFAULT_POOL, executionId: newUuid(), version: 1, priority: 0, step: 'a' })
  function openApi(): Dispatch {
    const api = createPostgresDispatch(ownBus)
    onTestFinished(() => api.close())
    return api
  }

  test('an offer wakes one worker, each in its turn, and none that is full', async () => {
    const api = openApi()
    const { looks } = listen([1, 0, 1, 1])
    await rings()
    for (let times = 0; times < 6; times += 1) {
      offer(api)
      await rings()
    }
    expect(looks).toEqual([2, 0, 2, 2])
  })

  test('as long as nobody is known, all are woken', async () => {
    const { looks } = listen([1, 1])
    await rings()
    offer(openApi())
    await rings()
    expect(looks).toEqual([1, 1])
  })

  test('a worker that filled up since it was heard of wakes another; when all are full nobody rings on, and who has room again looks', async () => {
    const api = openApi()
    const { looks, room, servings } = listen([1, 1])
    await rings()
    room[0] = 0
    offer(api)
    await rings()
    expect(looks).toEqual([1, 1])
    room[1] = 0
    offer(api)
    await rings()
    const full = [...looks]
    offer(api)
    await rings()
    expect(looks).toEqual(full)
    room[0] = 1
    servings[0]!.wake()
    servings[0]!.wake()
    expect(looks).toEqual([full[0]! + 1, full[1]])
  })

  test('a step wakes one worker that has room for it; when nobody has, one, which remembers it, and nobody rings on', async () => {
    const api = openApi()
    const { looks, roomForSteps } = listen([1, 1, 1])
    await rings()
    // one that is known to have room hands it on, and then it is known
    roomForSteps[0] = false
    offerStep(api)
    await rings()
    expect(looks).toEqual([1, 1, 0])
    for (let times = 0; times < 4; times += 1) {
      offerStep(api)
      await rings()
    }
    expect(looks).toEqual([1, 3, 2])
    roomForSteps.fill(false)
    offerStep(api)
    await rings()
    const before = looks.reduce((sum, one) => sum + one)
    for (let times = 0; times < 6; times += 1) {
      offerStep(api)
      await rings()
    }
    expect(looks.reduce((sum, one) => sum + one)).toBe(before + 6)
  })

  test('who leaves is woken no more, and what is no announcement is none', async () => {
    const api = openApi()
    const { looks, servings } = listen([1, 1])
    await rings()
    for (const said of [
      '',
      'no',
      '{}',
      '[1,true,"default"]',
      '["x","yes","default"]',
      `["${'x'.repeat(100)}",true,"default"]`,
      undefined,
    ])
      ownBus.ring('work:peers', said)
    await servings[0]!.stop()
    await rings()
    for (let times = 0; times < 3; times += 1) offer(api)
    await rings()
    expect(looks).toEqual([0, 3])
  })
})
