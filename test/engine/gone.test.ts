import { expect, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { startFlow, storeFlow } from '../harness/engine.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase()
const flow = await storeFlow(database, { name: 'gated', steps: { a: { type: 'handler', handler: 'gated' } } })
const remove = (id: string): Promise<object[]> => ownerQuery('delete from sluice.executions where id = $1', [id])

test('an outcome of an execution that was removed meanwhile ends quietly, and its mailbox with it', async () => {
  const { engine, run } = await steeredEngine(database)
  const id = await startFlow(engine, flow)
  const attempt = await run(1)
  await remove(id)
  const posted = engine.worker.mailboxes.post(id, {
    ...{ kind: 'outcome', path: 'a', attempt: 1, epoch: 0 },
    outcome: { ok: true, output: {}, bytes: 2 },
  })
  expect(await posted).toEqual({ result: 'missing' })
  expect(engine.worker.mailboxes.isHeld(id)).toBe(false)
  expect(attempt.signal.aborted).toBe(true)
  expect(await database.query('select seq from sluice.events where execution_id = $1 and seq > 2', [id])).toEqual([])
  expect(engine.committer.full).toBe(false)
})

test('what is asked of an execution that was removed is not found', async () => {
  const { engine, run } = await steeredEngine(database)
  const id = await startFlow(engine, flow)
  await run(1)
  await remove(id)
  expect(await engine.cancel({ executionId: id })).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await engine.pause({ executionId: id })).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await engine.resume({ executionId: newUuid() })).toMatchObject({ problem: 'NOT_FOUND' })
})

test('others in the same commit are stored though one of them was removed', async () => {
  const { engine, run } = await steeredEngine(database)
  const gone = await startFlow(engine, flow)
  const there = await startFlow(engine, flow)
  const attempt = await run(2)
  await remove(gone)
  const cancels = [gone, there].map((executionId) => engine.cancel({ executionId }))
  expect(await Promise.all(cancels)).toEqual([expect.objectContaining({ problem: 'NOT_FOUND' }), { executionId: there }])
  attempt.open()
  await engine.ended(there, 5000)
  expect(await database.query('select status from sluice.executions where id = $1', [there])).toEqual([{ status: 'CANCELED' }])
})

test('nobody waits for the end of an execution that was removed', async () => {
  const { engine } = await steeredEngine(database)
  const began = performance.now()
  await engine.ended(newUuid(), 30_000)
  expect(performance.now() - began).toBeLessThan(10_000)
})
