/** How a worker comes by executions, where there are more of them than it can ever hold. */
import { expect, onTestFinished, test, vi } from 'vitest'
import { createClaimer } from '../../src/engine/claimer.ts'
import { createWorkLoop } from '../../src/engine/work-loop.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { isClaim } from '../harness/intercept-queries.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase()
const log = createLog('silent')

test('a worker that always finds more, and ends it as fast, looks at what is due in between (A10)', async () => {
  const began = performance.now()
  let claims = 0
  const endless = async <Row>(_text: string, params: readonly unknown[] = []): Promise<Row[]> => {
    claims += 1
    await new Promise((resolve) => setTimeout(resolve, 5))
    // in the end there is an end, so that this test has one too
    const found = performance.now() - began < 5_000 ? Number(params[1]) : 0
    return Array.from({ length: found }, () => ({ id: newUuid(), initiator_id: newUuid() }) as Row)
  }
  const workerId = newUuid()
  const claimer = createClaimer({
    ...{ database: { ...database, query: endless }, workerId, pools: ['default'], maxHeld: 500, log },
    ...{ held: () => 0, mayClaim: () => true, hold: () => Promise.resolve(), claimed: () => undefined },
  })
  let fired = 0
  const overdue = { fire: async () => (fired += 1) > 0, fireElsewhere: () => Promise.resolve() }
  const overdueAlways = async <Row>(text: string, params?: readonly unknown[]): Promise<Row[]> =>
    (await database.query<Row>(text, params)).map((row) => ({ ...row, overdue: true, claimable: true }))
  const loop = createWorkLoop({
    ...{ database: { ...database, query: overdueAlways }, workerId, pools: ['default'], dispatch: { lookEveryMs: 0 }, log },
    ...{ claimer, steps: { look: () => Promise.resolve(false) }, overdue, hasRoom: () => undefined },
  })
  loop.lookForReady()
  await loop.runOnce()
  expect(claims).toBeGreaterThan(1)
  expect(performance.now() - began).toBeLessThan(4_000)
  expect(fired).toBe(1)
})

test('every initiator has its turn, also while one has timers that are due all the time', async () => {
  const workerId = newUuid()
  await database.query(`insert into sluice.workers (id, expires_at) values ($1, now() + interval '1 hour')`, [workerId])
  const initiator = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`
  const store = (of: number, count: number, wakeAt: string | null = null): Promise<unknown> =>
    ownerQuery(
      `insert into sluice.executions
         (id, flow_id, flow_version_id, initiator_id, status, wake_at, last_event_at, state_bytes, steps_total, created_at)
       select uuidv7(), uuidv7(), uuidv7(), $1, 'PENDING', $3, now(), 2, 1, now() from generate_series(1, $2::integer)`,
      [initiator(of), count, wakeAt],
    )
  for (const n of [2, 3, 4, 5, 6]) await store(n, 20)
  let held: readonly string[] = []
  const claimer = createClaimer({
    ...{ database, workerId, pools: ['default'], maxHeld: 8, log, held: () => held.length, mayClaim: () => true },
    ...{ hold: async (ids) => void (held = [...held, ...ids]), claimed: () => undefined },
  })
  /** By a roomful that has a timer of initiator 1 in it. */
  async function served(ready: boolean): Promise<number[]> {
    await store(1, 1, '2020-01-01')
    held = []
    await claimer.look(ready)
    const rows = await database.query<{ n: number }>(
      `select distinct right(initiator_id::text, 1)::integer as n from sluice.executions where id = any($1::uuid[]) order by 1`,
      [held],
    )
    return rows.map(({ n }) => n)
  }
  expect(await served(true)).toEqual([1, 2, 3, 4, 5])
  expect(await served(false)).toEqual([1])
  expect(await served(true)).toEqual([1, 2, 3, 4, 6])
  expect(await served(true)).toEqual([1, 2, 3, 5, 6])
})

/** A worker whose time passes by `vi.advanceTimersByTimeAsync` alone, and that finds so many ready. A claim takes longer than a look has time. */
function stillWorker(ready = 0) {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const began = Date.now()
  const seen = { asksAt: [] as number[], claimed: 0 }
  const onAsk: (() => void)[] = []
  async function query<Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
    if (!isClaim(text)) {
      seen.asksAt.push(Date.now() - began)
      onAsk.shift()?.()
      const claimable = params[2] === true && seen.claimed < ready
      return [{ claimable, overdue: false, steps_wait: false, is_first: false, next_at: null } as Row]
    }
    await new Promise((resolve) => setTimeout(resolve, 150))
    const found = params[3] === true ? Math.min(Number(params[1]), ready - seen.claimed) : 0
    seen.claimed += found
    return Array.from({ length: found }, () => ({ id: newUuid(), initiator_id: newUuid(), place: newUuid() }) as Row)
  }
  const still = { ...database, query, clock: { ...database.clock, now: () => Date.now() } }
  const own = { database: still, workerId: newUuid(), pools: ['default'], log }
  const claimer = createClaimer({
    ...{ ...own, maxHeld: 1_000, held: () => 0, mayClaim: () => true, hold: () => Promise.resolve(), claimed: () => undefined },
  })
  const loop = createWorkLoop({
    ...{ ...own, claimer, dispatch: { lookEveryMs: 5_000 }, steps: { look: () => Promise.resolve(false) } },
    overdue: { fire: () => Promise.resolve(false), fireElsewhere: () => Promise.resolve() },
    hasRoom: () => undefined,
  })
  onTestFinished(() => loop.stop())
  return { loop, claimer, seen, onAsk }
}

test('a look that had no time for all that is ready goes on at once, however seldom ready ones are looked for', async () => {
  const { loop, seen } = stillWorker(2_000)
  loop.start()
  await vi.advanceTimersByTimeAsync(2_000)
  expect(seen.claimed).toBe(2_000)
  // and not for ever: the last one finds nothing, and then there is the usual pause
  expect(seen.asksAt.length).toBeLessThan(25)
})

test('that there are more that are ready is not forgotten over what is due', async () => {
  const { claimer } = stillWorker(2_000)
  const look = (ready: boolean) => Promise.all([claimer.look(ready), vi.advanceTimersByTimeAsync(150)])
  await look(true)
  expect(claimer.couldMore).toBe(true)
  await look(false)
  expect(claimer.couldMore).toBe(true)
})

test('a moment that is told while a worker looks is kept, and costs no look of its own', async () => {
  const { loop, seen, onAsk } = stillWorker()
  onAsk.push(
    () => undefined,
    () => loop.expect(Date.now() + 300),
  )
  loop.start()
  await vi.advanceTimersByTimeAsync(6_900)
  const [first, second, third, fourth] = seen.asksAt
  expect([second! - first!, third! - second!, fourth! - third!]).toEqual([1_000, 300, 1_000])
})
