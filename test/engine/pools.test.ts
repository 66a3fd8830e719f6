import { expect, test, vi } from 'vitest'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createLog } from '../../src/log.ts'
import { readExecution, startFlow, storeFlow, unwrap } from '../harness/engine.ts'
import type { StoredExecution } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import type { SteeredEngine } from '../harness/steered-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const bus = createLocalBus(createLog('silent'))

const gated = { type: 'handler', handler: 'gated' } as const
const inGpu = await storeFlow(database, { name: 'in gpu', pool: 'gpu', steps: { a: gated } })
const plain = await storeFlow(database, { name: 'plain', steps: { a: gated } })

const worker = (...pools: string[]): Promise<SteeredEngine> => steeredEngine(database, { bus, pools })
const read = (id: string): Promise<StoredExecution> => readExecution(database, id)
const until = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 8000, interval: 10 })
const hasStatus = (id: string, status: string): Promise<void> =>
  until(async () => expect(await read(id)).toMatchObject({ status }))
const expire = ({ engine }: SteeredEngine): Promise<unknown> =>
  database.query(`update sluice.workers set expires_at = now() - interval '1 second' where id = $1`, [engine.workerId])
const sound = async (): Promise<void> => expect(await breaches(database, { atTheEnd: false })).toEqual([])

test('executions of a flow with a pool run on its workers alone, wherever they were started (D9)', async () => {
  const usual = await worker('default')
  const gpu = await worker('gpu')
  const [there, here] = [await startFlow(usual.engine, inGpu), await startFlow(gpu.engine, plain)]
  const [far, near] = [await gpu.run(1), await usual.run(1)]
  expect([far.executionId, near.executionId]).toEqual([there, here])
  expect(await read(there)).toMatchObject({ owner: gpu.engine.workerId })
  for (const run of [far, near]) run.open()
  for (const id of [there, here]) await hasStatus(id, 'SUCCEEDED')
  expect([usual.runs.length, gpu.runs.length]).toEqual([1, 1])
  await sound()
})

test('a lost worker of a pool is followed by another one of it, never by one of others (D9)', async () => {
  const first = await worker('gpu')
  const usual = await worker('default')
  const id = await startFlow(usual.engine, inGpu)
  await first.run(1)
  await expire(first)
  await usual.engine.worker.runOnce()
  expect(await read(id)).toMatchObject({ owner: first.engine.workerId })
  const second = await worker('eu', 'gpu')
  ;(await second.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  expect(usual.runs).toEqual([])
  await sound()
})

test('timers, deadlines and cancels of a pool that nobody serves fire all the same, and then its work waits (A10)', async () => {
  const waits = { type: 'wait', duration: 'PT1H' } as const
  const timed = await storeFlow(database, { name: 'timed', pool: 'gpu', steps: { w: waits, then: { ...gated, after: ['w'] } } })
  const short = await storeFlow(database, { name: 'short', pool: 'gpu', timeout: 'PT0.3S', steps: { a: gated } })
  const usual = await worker('default')
  const [late, over, canceled] = [
    await startFlow(usual.engine, timed),
    await startFlow(usual.engine, short),
    await startFlow(usual.engine, inGpu),
  ]
  const gpu = await worker('gpu')
  const begun = await Promise.all([gpu.run(1), gpu.run(2)])
  await hasStatus(late, 'WAITING')
  await gpu.engine.stop()
  for (const run of begun) expect(run.signal.aborted).toBe(true)
  // as if it had been due for long
  await database.query(
    `update sluice.executions set wake_at = now() - interval '1 minute', in_flight = jsonb_set(in_flight, '{0,dueAt}', '0')
     where id = $1 and status = 'WAITING'`,
    [late],
  )
  unwrap(await usual.engine.cancel({ executionId: canceled }))
  await hasStatus(over, 'TIMED_OUT')
  await hasStatus(canceled, 'CANCELED')
  await until(async () => expect((await read(late)).steps).toMatchObject([{ path: 'w', status: 'SUCCEEDED' }]))
  expect(await read(late)).toMatchObject({ status: 'RUNNING', owner: null })
  expect(usual.runs).toEqual([])
  await sound()
})

test('a worker of several pools takes from each of them in turn, however much waits in one', async () => {
  const both = await steeredEngine(database, { bus, pools: ['many', 'few'], maxHeld: 4 })
  const other = await worker('elsewhere')
  const flowIn = (pool: string) => storeFlow(database, { name: pool, pool, steps: { a: gated } })
  const [many, few] = [await flowIn('many'), await flowIn('few')]
  await Promise.all(Array.from({ length: 20 }, () => startFlow(other.engine, many)))
  const rare = await startFlow(other.engine, few)
  for (let n = 1; !both.runs.some(({ executionId }) => executionId === rare); n++) {
    expect(n, 'attempts before the one of the other pool').toBeLessThan(12)
    ;(await both.run(n)).open()
    await hasStatus(both.runs[n - 1]!.executionId, 'SUCCEEDED')
  }
})
