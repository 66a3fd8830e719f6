/** E1 over processes: starts with one key, however many and wherever, are one execution; locks that outlast their time. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { createLocks } from '../../src/fleet/lock.ts'
import { createPostgresLocks } from '../../src/fleet/postgres-locks.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createRedisLocks } from '../../src/fleet/redis-locks.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { effectsFile } from '../harness/effects.ts'
import { storeFlow, unwrap } from '../harness/engine.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { testRedis } from '../harness/redis.ts'
import { spawnEngine } from '../harness/spawn-engine.ts'
import type { EngineCall } from '../harness/spawn-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const effects = effectsFile()
const silent = createLog('silent')
const { database, env } = await testDatabase()

type StartCall = Extract<EngineCall, { do: 'start' }>

interface Started {
  executionId: string
  replayed: boolean
}

test('10 and 100 simultaneous starts of one key over 3 processes are one execution, and all get its result (E1, E2)', async () => {
  const nodes = await Promise.all([1, 2, 3].map(() => spawnEngine(env, { leaseMs: 5_000 })))
  await Promise.all(nodes.map((node) => node.call({ do: 'run' })))
  const told = { effects: '${{ input.effects }}', ms: 50 }
  const flow = await storeFlow(database, { name: 'once', steps: { work: { type: 'handler', handler: 'near', with: told } } })
  const initiatorId = newUuid()
  const start = (key: string, inputHash: string): StartCall => ({
    ...{ do: 'start', flow, input: { effects: effects.file }, initiatorId },
    idempotency: { principalId: initiatorId, key, inputHash },
  })
  const startMany = (count: number, order: EngineCall): Promise<Started[]> =>
    Promise.all(Array.from({ length: count }, async (_, n) => unwrap((await nodes[n % nodes.length]!.call(order)) as Started)))

  for (const count of [10, 100]) {
    const order = start(newUuid(), 'aa')
    const answers = await startMany(count, order)
    const { executionId } = answers[0]!
    expect(answers.filter((answer) => answer.executionId === executionId)).toHaveLength(count)
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    await allEnded(database, 10_000)
    expect(await startMany(count, order)).toEqual(answers.map(() => ({ executionId, replayed: true })))
    const other = { ...order, idempotency: { ...order.idempotency!, inputHash: 'bb' } }
    expect(await nodes[1]!.call(other)).toMatchObject({ problem: 'IDEMPOTENCY_MISMATCH' })
  }
  const stored = await database.query<{ status: string }>('select status from sluice.executions')
  expect(stored).toEqual([{ status: 'SUCCEEDED' }, { status: 'SUCCEEDED' }])
  expect(effects.lines()).toHaveLength(2)
  expect(await breaches(database)).toEqual([])
})

const server = hasRedis ? await testRedis() : undefined
const stores = [
  { name: 'PostgreSQL', open: async () => createPostgresLocks(database), here: true },
  {
    name: 'Redis',
    here: hasRedis,
    async open() {
      const redis = await connectRedis(server!.url, silent)
      onTestFinished(() => redis.close())
      return createRedisLocks(redis)
    },
  },
]

for (const { name, open, here } of stores)
  describe.skipIf(!here)(`a lock in ${name}`, () => {
    test('lasts as long as its owner lives, however short it is', async () => {
      const [one, other] = [createLocks(await open(), silent), createLocks(await open(), silent)]
      const lock = await one.acquire('short', 1_000)
      const until = performance.now() + 2_500
      while (performance.now() < until) {
        expect(await other.acquire('short', 1_000)).toBeUndefined()
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      expect(lock!.held).toBe(true)
      await lock!.release()
    })
  })
