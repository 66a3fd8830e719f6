import { expect, test } from 'vitest'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const engine = await testEngine(database, {
  leaseMs: 600,
  handlers: {
    patient: (_input, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('told to stop')))),
  },
})

/** One execution tells another that it is to end: in the transaction of its own transition. */
async function tell(sender: string, receiver: string): Promise<void> {
  const sends = [
    { executionId: receiver, key: `from ${sender}`, kind: 'cancel' as const, body: { reason: 'the parent has ended' } },
  ]
  await engine.worker.mailboxes.post(sender, { kind: 'cancel', reason: 'enough' }, { extras: { sends } })
  expect(await readExecution(database, sender)).toMatchObject({ status: 'CANCELED' })
}

test.each([
  ['waits, held by nobody', { type: 'wait', duration: 'PT1H' }],
  ['runs, held by a worker', { type: 'handler', handler: 'patient' }],
])('a word from another execution reaches one that %s', async (_case, step) => {
  const flow = await storeFlow(database, { name: 'inbox', steps: { a: step } })
  const sender = await startFlow(
    engine,
    await storeFlow(database, { name: 'sender', steps: { a: { type: 'wait', duration: 'PT1H' } } }),
  )
  const receiver = await startFlow(engine, flow)
  await tell(sender, receiver)
  await engine.ended(receiver, 5000)
  expect(await readExecution(database, receiver)).toMatchObject({ status: 'CANCELED', reason: 'the parent has ended' })
  expect(await database.query('select key from sluice.inbox')).toEqual([])
})

test('a word to one that has ended changes nothing', async () => {
  const flow = await storeFlow(database, { name: 'short', steps: { a: { type: 'transform', set: {} } } })
  const receiver = await startFlow(engine, flow)
  const sender = await startFlow(
    engine,
    await storeFlow(database, { name: 'sender', steps: { a: { type: 'wait', duration: 'PT1H' } } }),
  )
  await tell(sender, receiver)
  await engine.worker.runOnce()
  expect(await readExecution(database, receiver)).toMatchObject({ status: 'SUCCEEDED', version: 1 })
})
