import { expect, test } from 'vitest'
import type { HandlerContext } from '../../src/engine/handlers/define-handler.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
let open: () => void = () => {}
let kept: HandlerContext | undefined
const engine = await testEngine(database, {
  handlers: {
    slow: async (_input, { log, progress }) => {
      log('begun', { pages: 3 })
      progress({ done: 1, total: 3, message: 'page 1' })
      await new Promise<void>((resolve) => (open = resolve))
      progress(1)
      return null
    },
    flood: (_input, context) => {
      kept = context
      for (let i = 0; i < 200_000; i++) context.progress(i / 200_000)
      for (let i = 0; i < 1000; i++) context.log(`line ${i}`)
      return null
    },
  },
})
const start = async (handler: string): Promise<string> =>
  startFlow(engine, await storeFlow(database, { name: handler, steps: { a: { type: 'handler', handler } } }))
const told = async (id: string) =>
  (await readExecution(database, id)).events.flatMap(({ type, data }) => (/\.(log|progress)$/.test(type) ? [{ type, data }] : []))

test('what a handler says is in the history while it runs, and how far it is stands with the execution', async () => {
  const id = await start('slow')
  const first = [
    { type: 'step.log', data: { message: 'begun', fields: { pages: 3 } } },
    { type: 'step.progress', data: { message: 'page 1', done: 1, total: 3, fraction: 1 / 3 } },
  ]
  await expect.poll(() => told(id), { timeout: 5000 }).toEqual(first)
  const [row] = await database.query('select status, in_flight -> 0 -> $2 as progress from sluice.executions where id = $1', [
    ...[id, 'progress'],
  ])
  expect(row).toEqual({ status: 'RUNNING', progress: first[1]!.data })
  open()
  await engine.ended(id, 5000)
  expect((await told(id)).at(-1)).toEqual({ type: 'step.progress', data: { fraction: 1 } })
  const { events } = await readExecution(database, id)
  expect(events.slice(-3).map(({ type }) => type)).toEqual(['step.progress', 'step.succeeded', 'execution.succeeded'])
})

test('a short attempt tells everything in the commit of its outcome, and a flood is a hundred lines and one word', async () => {
  const id = await start('flood')
  await engine.ended(id, 5000)
  const execution = await readExecution(database, id)
  // begun, and ended
  expect(execution.version).toBeLessThanOrEqual(3)
  const said = await told(id)
  expect(said.length).toBe(102)
  expect(said.slice(-2)).toEqual([
    { type: 'step.log', data: { message: '900 lines were left out.', dropped: 900 } },
    { type: 'step.progress', data: { fraction: 199_999 / 200_000 } },
  ])
  expect(await breaches(database)).toEqual([])
})

test('what is said after the end is dropped', async () => {
  const id = await start('flood')
  await engine.ended(id, 5000)
  const before = await told(id)
  kept!.log('too late')
  kept!.progress(0.1)
  const other = await start('flood')
  await engine.ended(other, 5000)
  expect(await told(id)).toEqual(before)
})
