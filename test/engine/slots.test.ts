import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { isProblem } from '../../src/errors.ts'
import { NEVER_MS } from '../../src/engine/decide/snapshot.ts'
import type { RunningEngine } from '../../src/engine/create-engine.ts'
import { readExecution, startFlow, startOrder, storeFlow, testEngine, unwrap } from '../harness/engine.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()

/** Handlers that run until the test says so, by execution. */
const gates = new Map<string, () => void>()
const engine = await testEngine(database, {
  handlers: {
    gated: (_input, { executionId, signal }) =>
      new Promise((open) => {
        gates.set(executionId, () => open({}))
        signal.addEventListener('abort', () => open({}))
      }),
  },
})

const HELD = { a: { type: 'wait', duration: 'PT1H' } }
let flows = 0
const flowWith = (concurrency: object, steps: object = HELD) =>
  storeFlow(database, { name: `limited ${++flows}`, concurrency, steps })

interface SlotState {
  id: string
  status: string
  held: boolean
}
const slotsOf = (flowId: string) =>
  database.query<SlotState>(
    `select e.id, e.status, s.held_at is not null as held from sluice.slots s join sluice.executions e on e.id = s.execution_id
     where s.flow_id = $1 order by e.id`,
    [flowId],
  )
const held = async (flowId: string) => (await slotsOf(flowId)).filter((slot) => slot.held).map(({ id }) => id)
const statusOf = async (id: string) => (await readExecution(database, id)).status
const started = async (...ids: string[]) =>
  expect.poll(() => Promise.all(ids.map(statusOf)), { interval: 10, timeout: 5_000 }).toEqual(ids.map(() => 'WAITING'))
const clear = async () => {
  for (const { id } of await database.query<{ id: string }>('select id from sluice.executions where ended_at is null'))
    await engine.cancel({ executionId: id })
  await allEnded(database, 10_000)
  expect(await breaches(database)).toEqual([])
  expect(await database.query('select * from sluice.slots')).toEqual([])
}

test('as many run as may; the others wait, by priority and age, and each end lets the next one begin', async () => {
  const flow = await flowWith({ max: 2 })
  const [a, b, c] = [await startFlow(engine, flow), await startFlow(engine, flow), await startFlow(engine, flow)]
  const urgent = await startFlow(engine, flow, {}, { priority: 5 })
  await started(a, b)
  expect(await held(flow.flowId)).toEqual([a, b])
  expect([await statusOf(c), await statusOf(urgent)]).toEqual(['PENDING', 'PENDING'])
  // this process's clock may be ahead of PostgreSQL's: nobody waits for the next sweep because of that
  expect(await database.query(`select 1 from sluice.slots where due_at >= asked_at - interval '1 minute'`)).toEqual([])
  await engine.cancel({ executionId: a })
  await started(urgent)
  expect(await held(flow.flowId)).toEqual([b, urgent])
  await engine.cancel({ executionId: b })
  await started(c)
  await clear()
})

test('keys do not share a limit; flows without a key do', async () => {
  const flow = await flowWith({ max: 1, key: '${{ input.customer }}' })
  const ids = await Promise.all(['x', 'y', 'x'].map((customer) => startFlow(engine, flow, { customer })))
  await started(ids[0]!, ids[1]!)
  expect(await statusOf(ids[2]!)).toBe('PENDING')
  const answer = await engine.start(await startOrder(engine, flow, {}))
  expect(answer).toMatchObject({ problem: 'VALIDATION', path: ['input'] })
  await clear()
})

test('where one more is refused, the answer says when to come back, and a replay is none (A8)', async () => {
  const flow = await flowWith({ max: 1, onLimit: 'refuse' })
  const initiatorId = newUuid()
  const idempotency = { principalId: initiatorId, key: 'k', inputHash: Buffer.from('x') }
  const order = await startOrder(engine, flow, {}, { initiatorId, idempotency })
  const first = unwrap(await engine.start(order))
  expect(await engine.start(order)).toEqual({ executionId: first.executionId, replayed: true })
  const other = { ...order, idempotency: { ...idempotency, key: 'l' } }
  const refused = await engine.start(other)
  expect(refused).toMatchObject({ problem: 'LIMIT_REACHED' })
  expect(isProblem(refused) && refused.retryAfterMs).toBeGreaterThan(0)
  await engine.cancel({ executionId: first.executionId })
  // the key of the refused start is free again
  expect(await engine.start(other)).toMatchObject({ replayed: false })
  await clear()
})

test('the queue of a key is bounded', async () => {
  const flow = await flowWith({ max: 1, maxQueued: 3 })
  const orders = await Promise.all(Array.from({ length: 10 }, () => startOrder(engine, flow)))
  const answers = await Promise.all(orders.map((order) => engine.start(order)))
  expect(answers.filter((answer) => isProblem(answer))).toHaveLength(6)
  expect(await slotsOf(flow.flowId)).toHaveLength(4)
  await clear()
})

test('where the newest takes the place, it begins when the older one has ended, and not before', async () => {
  const flow = await flowWith({ max: 1, onLimit: 'cancelOlder' }, { a: { type: 'handler', handler: 'gated' } })
  const first = await startFlow(engine, flow)
  await expect.poll(() => statusOf(first)).toBe('RUNNING')
  const second = await startFlow(engine, flow)
  const third = await startFlow(engine, flow)
  await engine.ended(first, 5_000)
  await engine.ended(second, 5_000)
  expect(await readExecution(database, first)).toMatchObject({ status: 'CANCELED', reason: 'A newer execution took its place.' })
  expect(await statusOf(second)).toBe('CANCELED')
  expect(await held(flow.flowId)).toEqual([third])
  await expect.poll(async () => (await readExecution(database, third)).events.length).toBeGreaterThan(0)
  const ends = await readExecution(database, first)
  const begins = await readExecution(database, third)
  expect(begins.events[0]!.at.getTime()).toBeGreaterThanOrEqual(ends.events.at(-1)!.at.getTime())
  await clear()
})

test('whoever waits for a slot can be paused, resumed and canceled; a pause while it runs keeps the slot (A16)', async () => {
  const flow = await flowWith({ max: 1 })
  const [a, b, c] = [await startFlow(engine, flow), await startFlow(engine, flow), await startFlow(engine, flow)]
  await started(a)
  unwrap(await engine.pause({ executionId: b }))
  unwrap(await engine.pause({ executionId: a }))
  expect(await held(flow.flowId)).toEqual([a])
  await engine.cancel({ executionId: a })
  // the paused one is passed over
  await started(c)
  unwrap(await engine.resume({ executionId: b }))
  expect(await statusOf(b)).toBe('PENDING')
  await engine.cancel({ executionId: c })
  await started(b)
  const d = await startFlow(engine, flow)
  unwrap(await engine.cancel({ executionId: d, reason: 'not needed' }))
  expect(await statusOf(d)).toBe('CANCELED')
  await clear()
})

test('a start of later waits for its time first, and then for its turn', async () => {
  const flow = await flowWith({ max: 1 })
  const startAt = database.clock.now() + 300
  const later = await startFlow(engine, flow, {}, { startAt })
  const now = await startFlow(engine, flow)
  await started(now)
  await engine.cancel({ executionId: now })
  const { wake_at } = (
    await database.query<{ wake_at: Date }>('select wake_at from sluice.executions where id = $1', [later])
  )[0]!
  expect(wake_at).toEqual(new Date(NEVER_MS))
  await started(later)
  const { events } = await readExecution(database, later)
  expect(events[0]!.at.getTime()).toBeGreaterThanOrEqual(startAt)
  await clear()
})

test('children wait for their turn like all others; where one more is refused, their step fails', async () => {
  const child = await flowWith({ max: 1 })
  const { name } = (await database.query<{ name: string }>('select name from sluice.flows where id = $1', [child.flowId]))[0]!
  const two = (flow: string) =>
    storeFlow(database, { name: `parent of ${flow}`, steps: { a: { type: 'flow', flow }, b: { type: 'flow', flow } } })
  const parent = await startFlow(engine, await two(name))
  await expect
    .poll(async () => (await slotsOf(child.flowId)).map(({ status }) => status).toSorted())
    .toEqual(['PENDING', 'WAITING'])
  // also one that waits hears that it is not wanted any more
  await engine.cancel({ executionId: parent })
  await engine.ended(parent, 5_000)
  expect(await statusOf(parent)).toBe('CANCELED')
  const strict = await flowWith({ max: 1, onLimit: 'refuse' })
  const strictName = (await database.query<{ name: string }>('select name from sluice.flows where id = $1', [strict.flowId]))[0]!
    .name
  const failed = await startFlow(engine, await two(strictName))
  await engine.ended(failed, 5_000)
  expect((await readExecution(database, failed)).error).toMatchObject({ code: 'LIMIT_REACHED' })
  await clear()
})

test('how many may run is what the newest start says; versions share their slots', async () => {
  const flow = await flowWith({ max: 2 })
  const publish = async (number: number, max: number) => {
    const flowVersionId = newUuid()
    const definition = { name: 'limited', concurrency: { max }, steps: HELD }
    await database.query(
      'insert into sluice.flow_versions (id, flow_id, number, definition, created_by) values ($1, $2, $3, $4, $1)',
      [flowVersionId, flow.flowId, number, JSON.stringify(definition)],
    )
    return { ...flow, flowVersionId }
  }
  const [a, b, c] = [await startFlow(engine, flow), await startFlow(engine, flow), await startFlow(engine, flow)]
  await started(a, b)
  const fewer = await startFlow(engine, await publish(2, 1))
  await engine.cancel({ executionId: a })
  expect(await held(flow.flowId)).toEqual([b])
  const more = await startFlow(engine, await publish(3, 4))
  await started(c, fewer, more)
  await clear()
})

const ORDERS = ['start', 'startUrgent', 'cancel', 'pause', 'resume', 'finish', 'timeOut'] as const

/** Whoever does not end is ended by time or by the test. */
const STEPS = { a: { type: 'signal', signals: ['go'] } }

test('after any number of starts, ends, cancels, pauses and time-outs as many slots are held as run', async () => {
  const kinds = ['queue', 'refuse', 'cancelOlder']
  const flowsUnderTest = await Promise.all(kinds.map((onLimit) => flowWith({ max: 2, onLimit, key: '${{ input.k }}' }, STEPS)))
  const short = await storeFlow(database, {
    name: 'short',
    concurrency: { max: 2, key: '${{ input.k }}' },
    timeout: 'PT0.05S',
    steps: STEPS,
  })
  const command = fc.record({ what: fc.constantFrom(...ORDERS), flow: fc.nat(2), k: fc.constantFrom('x', 'y'), at: fc.nat(20) })
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 30, maxLength: 60 }), async (commands) => {
      const ids: string[] = []
      await Promise.all(
        commands.map(async ({ what, flow, k, at }) => {
          const begun = await perform(
            engine,
            what,
            what === 'timeOut' ? short : flowsUnderTest[flow]!,
            k,
            ids[at % Math.max(1, ids.length)],
          )
          if (begun) ids.push(begun)
        }),
      )
      // whoever was handed a slot this moment has still to begin
      await expect.poll(() => database.query(UNEQUAL), { interval: 10, timeout: 5_000 }).toEqual([])
      expect(await breaches(database, { atTheEnd: false })).toEqual([])
      await clear()
    }),
    { numRuns: 4 },
  )
})

/** Flows of which not as many run as slots are held; a start that was paused before it began keeps the slot that it was handed. */
const UNEQUAL = `
  select * from (
    select f.id,
      (select count(*) from sluice.slots s join sluice.executions e on e.id = s.execution_id
        where s.flow_id = f.id and s.held_at is not null and (e.started_at is not null or e.status <> 'PAUSED')) as held,
      (select count(*) from sluice.executions e where e.flow_id = f.id and e.ended_at is null and e.started_at is not null) as running
    from sluice.flows f) as counts
  where held <> running`

async function perform(
  to: RunningEngine,
  what: (typeof ORDERS)[number],
  flow: { flowId: string; flowVersionId: string },
  k: string,
  id: string | undefined,
): Promise<string | undefined> {
  if (what === 'start' || what === 'startUrgent' || what === 'timeOut') {
    const answer = await to.start(await startOrder(to, flow, { k }, { priority: what === 'startUrgent' ? 1 : 0 }))
    return isProblem(answer) ? undefined : answer.executionId
  }
  if (id === undefined) return undefined
  if (what === 'finish') await to.signal({ executionId: id, name: 'go', data: null, bytes: 4, sentBy: 'test' })
  else await to[what]({ executionId: id })
  return undefined
}
