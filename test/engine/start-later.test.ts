import { expect, test } from 'vitest'
import { readExecution, startFlow, storeFlow, unwrap } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const flow = await storeFlow(database, { name: 'pure', steps: { a: { type: 'transform', set: {} } } })
const HOUR_MS = 3_600_000

const readWaking = async (id: string): Promise<{ status: string; wake_at: Date | null }> =>
  (
    await database.query<{ status: string; wake_at: Date | null }>(
      'select status, wake_at from sluice.executions where id = $1',
      [id],
    )
  )[0]!

test('a start of later begins at its time, and not before', async () => {
  const { engine } = await steeredEngine(database)
  const startAt = database.clock.now() + 300
  const id = await startFlow(engine, flow, {}, { startAt })
  expect(await readWaking(id)).toMatchObject({ status: 'PENDING', wake_at: new Date(startAt) })
  await engine.ended(id, 5000)
  const { status, events } = await readExecution(database, id)
  expect(status).toBe('SUCCEEDED')
  expect(events[0]!.at.getTime()).toBeGreaterThanOrEqual(startAt)
})

test('a start of later that is paused and resumed keeps its time', async () => {
  const { engine } = await steeredEngine(database)
  const startAt = database.clock.now() + HOUR_MS
  const id = await startFlow(engine, flow, {}, { startAt })
  unwrap(await engine.pause({ executionId: id }))
  expect(await readWaking(id)).toEqual({ status: 'PAUSED', wake_at: null })
  unwrap(await engine.resume({ executionId: id }))
  expect(await readWaking(id)).toEqual({ status: 'PENDING', wake_at: new Date(startAt) })
  expect(await breaches(database, { atTheEnd: false })).toEqual([])
})

test('a start whose time passed while it was paused begins when it is resumed', async () => {
  const { engine } = await steeredEngine(database)
  const startAt = database.clock.now() + 100
  const id = await startFlow(engine, flow, {}, { startAt })
  unwrap(await engine.pause({ executionId: id }))
  await expect.poll(() => database.clock.now(), { interval: 20 }).toBeGreaterThan(startAt)
  unwrap(await engine.resume({ executionId: id }))
  await engine.ended(id, 5000)
  expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED' })
})

test('a start of later can be canceled before it begins', async () => {
  const { engine } = await steeredEngine(database)
  const id = await startFlow(engine, flow, {}, { startAt: database.clock.now() + HOUR_MS })
  unwrap(await engine.cancel({ executionId: id, reason: 'not needed' }))
  expect(await readExecution(database, id)).toMatchObject({ status: 'CANCELED', reason: 'not needed' })
})
