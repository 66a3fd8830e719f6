import { Registry } from 'prom-client'
import { assert, expect, test, vi } from 'vitest'
import type { Dispatch, Taker } from '../../src/fleet/dispatch.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { measureWork } from '../../src/engine/work-metrics.ts'
import { createLog } from '../../src/log.ts'
import { newUuid } from '../../src/ids.ts'
import { age, superuserOf } from '../harness/age.ts'
import { readExecution, startFlow, storeFlow, unwrap } from '../harness/engine.ts'
import type { StoredExecution } from '../harness/engine.ts'
import { broken, isCommit, isLook, isRenewal } from '../harness/intercept-queries.ts'
import { breaches } from '../harness/invariants.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import type { SteeredEngine } from '../harness/steered-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, name } = await testDatabase()
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
  const gpu = await worker('gpu')
  const late = await startFlow(usual.engine, timed)
  await hasStatus(late, 'WAITING')
  await gpu.engine.stop()
  const [over, canceled] = [await startFlow(usual.engine, short), await startFlow(usual.engine, inGpu)]
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
  unwrap(await usual.engine.cancel({ executionId: late }))
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

const render = { ...gated, pool: 'gpu' } as const
const mixed = await storeFlow(database, {
  name: 'mixed',
  steps: {
    a: { ...render, with: { of: '${{ input.n }}' } },
    b: { type: 'handler', handler: 'quick', after: ['a'] },
    c: { ...gated, after: ['b'] },
  },
})
const queue = (): Promise<{ path: string; owner: string | null; epoch: number }[]> =>
  database.query('select path, owner, epoch from sluice.pooled_steps order by path')
const typesOf = ({ events }: StoredExecution, path: string): string[] =>
  events.filter((event) => event.path === path).map(({ type }) => type)

test('a step that waits wakes one worker of its pool, and not all', async () => {
  const usual = await worker('default')
  const crowd = await Promise.all([1, 2, 3, 4, 5, 6].map(() => worker('gpu')))
  let claims = 0
  for (const steered of crowd)
    steered.intercept = (text, send) => {
      if (text.includes('claim_steps')) claims += 1
      return send()
    }
  for (let n = 1; n <= 5; n++) {
    const id = await startFlow(usual.engine, mixed, { n })
    await until(() => expect(crowd.flatMap(({ runs }) => runs)).toHaveLength(n))
    for (const run of crowd.flatMap(({ runs }) => runs)) run.open()
    ;(await usual.run(n)).open()
    await hasStatus(id, 'SUCCEEDED')
  }
  // one each; and who looks by itself just then finds it too
  expect(claims).toBeLessThan(15)
  expect(crowd.filter(({ runs }) => runs.length > 0).length, 'workers that had one').toBeGreaterThan(1)
})

test('a step that names a pool runs on a worker of it, and all else of the execution where it is (D9)', async () => {
  const usual = await worker('default')
  const id = await startFlow(usual.engine, mixed, { n: 7 })
  await until(async () => expect(await queue()).toEqual([{ path: 'a', owner: null, epoch: 0 }]))
  const gpu = await worker('gpu')
  const run = await gpu.run(1)
  expect(run).toMatchObject({ executionId: id, path: 'a', attempt: 1 })
  expect(await queue()).toEqual([{ path: 'a', owner: gpu.engine.workerId, epoch: 1 }])
  run.open({ rendered: true })
  ;(await usual.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  const read = await readExecution(database, id)
  expect(read.steps).toMatchObject([{ path: 'a', output: { rendered: true } }, { path: 'b' }, { path: 'c' }])
  expect(typesOf(read, 'a')).toEqual(['step.started', 'step.claimed', 'step.succeeded'])
  const [row] = await database.query<{ input: unknown }>(
    'select input from sluice.step_runs where execution_id = $1 and path = $2',
    [id, 'a'],
  )
  expect(row!.input).toEqual({ of: 7 })
  expect(await queue()).toEqual([])
  await sound()
})

test('a lost worker leaves its step to another one of the pool, with the next epoch, and what it says then is late (D9, A5)', async () => {
  const usual = await worker('default')
  const first = await worker('gpu')
  const id = await startFlow(usual.engine, mixed, { n: 1 })
  const slow = await first.run(1)
  await expire(first)
  await usual.engine.worker.runOnce()
  expect(await queue()).toMatchObject([{ owner: first.engine.workerId }])
  const second = await worker('gpu')
  const again = await second.run(1)
  slow.open({ from: 'the first' })
  await until(async () => expect(typesOf(await read(id), 'a')).toContain('step.late'))
  again.open({ from: 'the second' })
  ;(await usual.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  expect((await read(id)).steps).toContainEqual(expect.objectContaining({ path: 'a', output: { from: 'the second' } }))
  expect(usual.runs.map(({ path }) => path)).toEqual(['c'])
  await sound()
})

test('attempts, time-outs and the order of a step are those of its definition, wherever it runs (D4, E3)', async () => {
  const [usual, gpu] = [await worker('default'), await worker('gpu')]
  const flow = await storeFlow(database, {
    name: 'tried',
    steps: {
      slow: { ...render, timeout: 'PT0.2S', retry: { attempts: 2, delay: 'PT0.01S' }, onError: 'continue' },
      items: { type: 'map', over: [1, 2, 3], parallel: 2, step: { ...render, with: { item: '${{ item }}' } } },
      bad: { type: 'fail', after: ['slow', 'items'], code: 'NO', message: 'no' },
    },
  })
  const id = await startFlow(usual.engine, flow)
  for (let n = 1; n <= 5; n++) {
    const run = await gpu.run(n)
    if (run.path === 'slow') await until(() => expect(run.signal.aborted).toBe(true))
    run.open()
  }
  await hasStatus(id, 'FAILED')
  const stored = await read(id)
  expect(stored.steps).toContainEqual(expect.objectContaining({ path: 'slow', status: 'FAILED', attempt: 2 }))
  expect(stored.steps.filter(({ path }) => path.startsWith('items.'))).toHaveLength(3)
  expect(stored.steps.find(({ path }) => path === 'slow')!.error).toMatchObject({ code: 'TIMEOUT' })
  expect(usual.runs).toEqual([])
  expect(await queue()).toEqual([])
  await sound()
})

test('a cancel reaches the worker of the pool, and one that does not hear it is left behind at the fence (A10)', async () => {
  const [usual, gpu] = [await worker('default'), await worker('gpu')]
  const [heard, waits] = [await startFlow(usual.engine, mixed, { n: 1 }), await startFlow(usual.engine, mixed, { n: 2 })]
  const begun = [await gpu.run(1), await gpu.run(2)]
  unwrap(await usual.engine.cancel({ executionId: heard }))
  const run = begun.find(({ executionId }) => executionId === heard)!
  await until(() => expect(run.signal.aborted).toBe(true))
  await hasStatus(heard, 'CANCELED')
  // what was canceled before anybody took it never runs
  await gpu.engine.stop()
  await until(async () => expect(await queue()).toMatchObject([{ owner: null }]))
  unwrap(await usual.engine.cancel({ executionId: waits }))
  await hasStatus(waits, 'CANCELED')
  expect(await queue()).toEqual([])
  await sound()
})

test('a worker that stops gives its steps back; one that may run at most once is not run again (D9)', async () => {
  const [usual, first] = [await worker('default'), await worker('gpu')]
  const once = await storeFlow(database, { name: 'once', steps: { a: { ...render, atMostOnce: true } } })
  const [again, never] = [await startFlow(usual.engine, mixed, { n: 1 }), await startFlow(usual.engine, once)]
  await first.run(2)
  await first.engine.stop()
  const second = await worker('gpu')
  const run = await second.run(1)
  expect(run).toMatchObject({ executionId: again, path: 'a', attempt: 1 })
  await hasStatus(never, 'FAILED')
  expect((await read(never)).error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  expect(second.runs).toHaveLength(1)
  expect((await read(again)).steps).toEqual([])
  unwrap(await usual.engine.cancel({ executionId: again }))
  await hasStatus(again, 'CANCELED')
  await sound()
})

test('of a paused execution no step begins in its pool; what runs ends, and the rest begins when it is resumed (A16)', async () => {
  const usual = await worker('default')
  const two = await storeFlow(database, { name: 'two', steps: { a: render, b: { ...render, after: ['a'] } } })
  const id = await startFlow(usual.engine, two)
  await until(async () => expect(await queue()).toHaveLength(1))
  unwrap(await usual.engine.pause({ executionId: id }))
  expect(await read(id)).toMatchObject({ status: 'PAUSED' })
  await sound()
  const gpu = await worker('gpu')
  unwrap(await usual.engine.resume({ executionId: id }))
  const run = await gpu.run(1)
  unwrap(await usual.engine.pause({ executionId: id }))
  expect(await read(id)).toMatchObject({ status: 'RUNNING' })
  run.open()
  await hasStatus(id, 'PAUSED')
  unwrap(await usual.engine.resume({ executionId: id }))
  ;(await gpu.run(2)).open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

test('a worker whose lease was lost runs its steps again when it comes back, and what it had run is late (D9)', async () => {
  const usual = await worker('default')
  const gpu = await steeredEngine(database, { bus, pools: ['gpu'], leaseMs: 400 })
  const id = await startFlow(usual.engine, mixed, { n: 1 })
  const run = await gpu.run(1)
  gpu.intercept = (text, send) => (isRenewal(text) ? Promise.reject(broken()) : send())
  await until(() => expect(run.signal.aborted).toBe(true))
  gpu.intercept = undefined
  ;(await gpu.run(2)).open()
  ;(await usual.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  expect(await queue()).toEqual([])
  await sound()
})

test('of steps that it is offered a worker takes a few, and none while some wait here: it says how many are left (D9)', async () => {
  const usual = await worker('default')
  const flow = await storeFlow(database, { name: 'offered', steps: { a: { ...gated, pool: 'full' } } })
  const ids = await Promise.all(Array.from({ length: 12 }, () => startFlow(usual.engine, flow)))
  await until(async () => expect(await queue()).toHaveLength(12))
  const serving = Promise.withResolvers<Taker>()
  const dispatch: Dispatch = {
    offer: () => undefined,
    serve(_pools, taker) {
      serving.resolve(taker)
      return { wake: () => undefined, stop: () => Promise.resolve() }
    },
    lookEveryMs: 0,
    close: () => Promise.resolve(),
  }
  const registry = new Map([['gated', { name: 'gated', inline: false, exportName: 'gated', file: 'test' }]])
  const host = { run: () => assert.fail('it has no room'), free: 0, close: () => Promise.resolve() }
  await steeredEngine(database, { bus, pools: ['full'], dispatch, registry, host }, (steered) => {
    steered.intercept = (text, send) => (isLook(text) ? Promise.reject(broken()) : send())
  })
  const taker = await serving.promise
  expect(taker.hasRoomForSteps()).toBe(true)
  expect(await taker.takeSteps('full', 12)).toBe(4)
  expect(taker.hasRoomForSteps()).toBe(false)
  expect(await taker.takeSteps('full', 4)).toBe(4)
  expect((await queue()).filter(({ owner }) => owner !== null)).toHaveLength(8)
  for (const id of ids) unwrap(await usual.engine.cancel({ executionId: id }))
  await until(async () => expect(await queue()).toEqual([]))
})

test('a worker of several pools works off what waits in one of them without a pause (D9)', async () => {
  const other = await worker('elsewhere')
  const flow = await storeFlow(database, { name: 'crowd', pool: 'crowd', steps: { a: { type: 'handler', handler: 'quick' } } })
  const ids = await Promise.all(Array.from({ length: 120 }, () => startFlow(other.engine, flow)))
  const began = performance.now()
  await steeredEngine(database, { bus, pools: ['idle', 'crowd', 'empty'], maxHeld: 8 })
  for (const id of ids) await hasStatus(id, 'SUCCEEDED')
  // by a look each second it would take 15 s
  expect(performance.now() - began).toBeLessThan(8000)
}, 60_000)

test('while a worker works off a long queue of a pool, it looks at what else is due', async () => {
  const usual = await worker('default')
  const flow = await storeFlow(database, { name: 'queued', steps: { a: { type: 'handler', handler: 'quick', pool: 'long' } } })
  const ids = await Promise.all(Array.from({ length: 150 }, () => startFlow(usual.engine, flow)))
  await until(async () => expect(await queue()).toHaveLength(150))
  const looks: ('claim' | 'due')[] = []
  await steeredEngine(database, { bus, pools: ['long'] }, (steered) => {
    steered.intercept = (text, send) => {
      if (text.includes('sluice.claim_steps(')) looks.push('claim')
      if (isLook(text)) looks.push('due')
      return send()
    }
  })
  for (const id of ids) await hasStatus(id, 'SUCCEEDED')
  expect(looks.slice(looks.indexOf('claim'), looks.lastIndexOf('claim'))).toContain('due')
})

test('whoever a holder that was not told that another process moved its execution on would turn away is not (D9)', async () => {
  const holder = await steeredEngine(database, { pools: ['default', 'unheard'], leaseMs: 60_000 })
  const visitor = await worker('elsewhere')
  const flow = await storeFlow(database, {
    name: 'unheard',
    steps: {
      a: gated,
      s: { type: 'signal', signals: ['go'] },
      d: { type: 'handler', handler: 'quick', pool: 'unheard', after: ['s'] },
      q: { type: 'agent', role: 'ceo', subject: '?', request: {}, after: ['s'] },
    },
  })
  const id = await startFlow(holder.engine, flow)
  const run = await holder.run(1)
  // each has a bus of its own: the holder learns of it by the row in the queue, and by the answer
  const idempotency = { principalId: newUuid(), key: 'go', inputHash: Buffer.from('go') }
  unwrap(await visitor.engine.signal({ executionId: id, name: 'go', data: null, bytes: 4, sentBy: 'user_x', idempotency }))
  const [asked] = await database.query<{ id: string }>('select id from sluice.agent_requests where execution_id = $1', [id])
  const answer = { requestId: asked!.id, executionId: id, decision: 'APPROVE', data: 1, answeredBy: newUuid() } as const
  expect(await holder.engine.answer(answer)).toMatchObject({ requestId: asked!.id })
  await holder.engine.worker.runOnce()
  await until(async () => expect((await read(id)).steps.map(({ path }) => path)).toContain('d'))
  run.open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

/** Statements of the kind wait until they are let through; `came`: one does. */
function holdBack(steered: SteeredEngine, isKind: (text: string) => boolean): { came: Promise<void>; release(): void } {
  const [came, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const before = steered.intercept
  steered.intercept = async (text, send, params) => {
    const pass = (): Promise<unknown[]> => (before ? before(text, send, params) : send())
    if (!isKind(text)) return pass()
    came.resolve()
    await go.promise
    return pass()
  }
  return { came: came.promise, release: go.resolve }
}

test('a holder that was not told of the cancel stops its step of a pool at the heartbeat all the same (A10)', async () => {
  const holder = await steeredEngine(database, { pools: ['default', 'both'], fenceMs: 60_000, leaseMs: 1500 })
  const visitor = await steeredEngine(database, { pools: ['elsewhere'], fenceMs: 60_000 })
  const flow = await storeFlow(database, { name: 'both', steps: { a: gated, b: { ...gated, pool: 'both' } } })
  const id = await startFlow(holder.engine, flow)
  const runs = [await holder.run(1), await holder.run(2)]
  unwrap(await visitor.engine.cancel({ executionId: id }))
  let renewals = 0
  holder.intercept = (text, send) => {
    renewals += isRenewal(text) ? 1 : 0
    return isRenewal(text) && renewals > 1 ? Promise.reject(broken()) : send()
  }
  for (const run of runs) await until(() => expect(run.signal.aborted).toBe(true))
  expect(holder.engine.worker.holdsLease).toBe(true)
  for (const run of runs) run.open()
  await until(async () => expect((await read(id)).status).not.toBe('RUNNING'))
  await sound()
})

test('a step that was claimed while the lease got lost is run when it is back (D9)', async () => {
  const usual = await worker('default')
  const gpu = await steeredEngine(database, { bus, pools: ['gpu'], leaseMs: 400 })
  const told = holdBack(gpu, isCommit)
  const id = await startFlow(usual.engine, mixed, { n: 1 })
  await told.came
  const renewed = holdBack(gpu, isRenewal)
  await until(() => expect(gpu.engine.worker.holdsLease).toBe(false))
  told.release()
  await until(async () => expect(typesOf(await read(id), 'a')).toContain('step.claimed'))
  expect(gpu.runs).toEqual([])
  renewed.release()
  ;(await gpu.run(1)).open()
  ;(await usual.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

test('what a lost worker gives back is not taken from whoever has claimed it since (D9)', async () => {
  const usual = await worker('default')
  const first = await worker('gpu')
  const id = await startFlow(usual.engine, mixed, { n: 1 })
  await first.run(1)
  await expire(first)
  const second = await steeredEngine(database, { bus, pools: ['gpu'] }, (steered) => {
    told = holdBack(steered, isCommit)
  })
  await told!.came
  await first.engine.stop()
  expect(await queue()).toEqual([{ path: 'a', owner: second.engine.workerId, epoch: 2 }])
  told!.release()
  ;(await second.run(1)).open()
  ;(await usual.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})
let told: ReturnType<typeof holdBack> | undefined

test('a step that was claimed before a pause, and told after it, runs once (A16, D9)', async () => {
  const usual = await worker('default')
  const id = await startFlow(usual.engine, mixed, { n: 1 })
  const first = await steeredEngine(database, { bus, pools: ['gpu'] }, (steered) => {
    told = holdBack(steered, isCommit)
  })
  await told!.came
  unwrap(await usual.engine.pause({ executionId: id }))
  unwrap(await usual.engine.resume({ executionId: id }))
  const second = await worker('gpu')
  await second.engine.worker.runOnce()
  told!.release()
  const run = await first.run(1)
  await second.engine.worker.runOnce()
  await sound()
  run.open()
  ;(await usual.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  expect(typesOf(await read(id), 'a')).toEqual(['step.started', 'step.claimed', 'step.succeeded'])
  expect(second.runs).toEqual([])
  await sound()
})

test('a step that waits in a pool which nobody serves moves to a version that names another one, or none, or lacks it; who had claimed it before comes too late (D9)', async () => {
  const usual = await worker('default')
  const flow = await storeFlow(database, { name: 'moving', steps: { a: render, b: { ...render, pool: 'gone' } } })
  const version = async (number: number, steps: object): Promise<string> => {
    const id = newUuid()
    await database.query(
      `insert into sluice.flow_versions (id, flow_id, number, definition, created_by) values ($1, $2, $3, $4, $1)`,
      [...[id, flow.flowId, number, JSON.stringify({ name: 'moving', steps })]],
    )
    return id
  }
  const move = async (id: string, flowVersionId: string) =>
    unwrap(await usual.engine.migrate({ executionIds: [id], flowVersionId, by: 'user_x' }))
  const id = await startFlow(usual.engine, flow)
  await until(async () => expect(await queue()).toHaveLength(2))
  const late = await steeredEngine(database, { bus, pools: ['gpu'] }, (steered) => {
    told = holdBack(steered, isCommit)
  })
  await told!.came
  expect(await move(id, await version(2, { a: { ...render, pool: 'tpu' }, c: gated }))).toEqual([
    { executionId: id, obstacles: [] },
  ])
  expect(await queue()).toEqual([{ path: 'a', owner: null, epoch: 2 }])
  told!.release()
  await late.engine.worker.runOnce()
  expect(late.runs).toEqual([])
  expect(await queue()).toEqual([{ path: 'a', owner: null, epoch: 2 }])
  const run = await usual.run(1)
  expect(run.path).toBe('c')
  run.open()
  await hasStatus(id, 'WAITING')
  expect(await move(id, await version(3, { a: gated, c: gated }))).toMatchObject([{ obstacles: [] }])
  expect(await queue()).toEqual([])
  ;(await usual.run(2)).open({ done: true })
  await hasStatus(id, 'SUCCEEDED')
  const ended = await read(id)
  expect(typesOf(ended, 'a')).toEqual(['step.started', 'step.succeeded'])
  expect(typesOf(ended, 'b')).toEqual(['step.started', 'step.canceled'])
  await sound()
})

test('what is not allowed any more leaves no step of it in a queue (A1)', async () => {
  const usual = await worker('default')
  const id = await startFlow(usual.engine, mixed, { n: 1 })
  await until(async () => expect(await queue()).toHaveLength(1))
  const strict = await steeredEngine(database, { bus, pools: ['gpu'], allow: { roles: new Set(), handlers: new Set() } })
  await hasStatus(id, 'FAILED')
  expect(strict.runs).toEqual([])
  expect(await queue()).toEqual([])
  await sound()
})

test('a worker that stops still hears that what it runs is canceled, and begins nothing more (A10)', async () => {
  const usual = await worker('default')
  const gpu = await steeredEngine(database, { bus, pools: ['gpu'], leaseMs: 60_000, drainMs: 30_000 })
  const id = await startFlow(usual.engine, mixed, { n: 1 })
  const run = await gpu.run(1)
  const claimed = holdBack(gpu, (text) => text.includes('sluice.claim_steps('))
  const later = await startFlow(usual.engine, mixed, { n: 2 })
  await claimed.came
  const stopped = gpu.engine.stop()
  claimed.release()
  unwrap(await usual.engine.cancel({ executionId: id }))
  await until(() => expect(run.signal.aborted).toBe(true))
  await stopped
  await hasStatus(id, 'CANCELED')
  expect(gpu.runs).toHaveLength(1)
  expect(await queue()).toMatchObject([{ owner: null }])
  unwrap(await usual.engine.cancel({ executionId: later }))
  await sound()
})

test('metrics tell how many wait in a pool, and since when they could have been claimed, however old they are (A9)', async () => {
  const { engine } = await worker('default')
  const inEu = await storeFlow(database, { name: 'in_eu', pool: 'eu', steps: { a: gated } })
  const superuser = await superuserOf(name)
  const ids = await age(superuser, [await startFlow(engine, inEu), await startFlow(engine, inEu)], 3)
  const woken = `update sluice.executions set last_event_at = now() - $2 * interval '1 second' where id = $1`
  for (const [n, id] of ids.entries()) await superuser.query(woken, [id, 30 * (n + 1)])
  const registry = new Registry()
  measureWork(engine, database, registry)
  const metrics = await registry.metrics()
  expect(metrics).toContain('sluice_executions_ready{pool="eu"} 2')
  expect(Number(/^sluice_ready_oldest_seconds (.+)$/m.exec(metrics)![1])).toBeCloseTo(60, -1)
  for (const id of ids) await engine.cancel({ executionId: id })
})
