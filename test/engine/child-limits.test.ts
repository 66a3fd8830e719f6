import { expect, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { readExecution, startFlow, startOrder, storeFlow, testEngine } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const engine = await testEngine(database, { mostChildren: 2 })
await storeFlow(database, { name: 'slow', steps: { a: { type: 'wait', duration: 'PT1H' } } })
await storeFlow(database, { name: 'quick', steps: { a: { type: 'transform', set: { n: 1 } } } })

const children = (parallel: number, flow: string) => ({
  all: { type: 'map', over: [1, 2, 3, 4, 5, 6], parallel, step: { type: 'flow', flow } },
})

test('children are not among the running executions that an initiator may have (A8)', async () => {
  const initiatorId = newUuid()
  const flow = await storeFlow(database, { name: 'one by one', steps: children(1, 'quick') })
  const id = await startFlow(engine, flow, {}, { initiatorId, runningLimit: 1 })
  await engine.ended(id, 20_000)
  expect((await readExecution(database, id)).status).toBe('SUCCEEDED')
  // a root counts as long as it has not ended
  const waiting = await storeFlow(database, { name: 'waiting', steps: { a: { type: 'flow', flow: 'slow' } } })
  const order = await startOrder(engine, waiting, {}, { initiatorId, runningLimit: 1 })
  const first = await engine.start(order)
  expect(first).toHaveProperty('executionId')
  expect(await engine.start(order)).toMatchObject({ problem: 'LIMIT_REACHED' })
  await engine.cancel({ executionId: (first as { executionId: string }).executionId })
})

test('more children of one initiator than there may be at once are refused, and those that began are canceled', async () => {
  const flow = await storeFlow(database, { name: 'too many', steps: children(4, 'slow') })
  const id = await startFlow(engine, flow)
  await engine.ended(id, 20_000)
  const ended = await readExecution(database, id)
  expect(ended.error).toMatchObject({ code: 'ITEM_FAILED', step: 'all' })
  expect(ended.error!.message).toMatch(/TOO_MANY_CHILDREN/)
  await expect
    .poll(() => database.query(`select id from sluice.executions where parent_id = $1 and ended_at is null`, [id]))
    .toEqual([])
})
