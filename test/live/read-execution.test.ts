/** The one statement that feeds read with. */
import { expect, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { Execution } from '../../src/engine/entities/execution.ts'
import { newUuid } from '../../src/ids.ts'
import { createReadAfter, readPlaces } from '../../src/live/read-execution.ts'
import { testDatabase } from '../harness/test-database.ts'
import { masks } from './access.ts'
import { commitEvents, startExecution } from './history.ts'

const { database } = await testDatabase({ entities: [Execution] })
const readAfter = createReadAfter(database, masks)

test('it brings the execution as MikroORM reads it, and the events after a place', async () => {
  const id = await startExecution(database)
  await database.query(
    `update sluice.executions set labels = '{"team": "a"}', in_flight = '[{"kind": "act", "path": "a"}]' where id = $1`,
    [id],
  )
  await commitEvents(database, id, 5)
  const page = await readAfter(id, 2, 2)
  const { ...entity } = await database.fork().findOneOrFail(Execution, id)
  expect({ ...page?.execution }).toEqual(entity)
  expect(page?.execution.createdAt).toBeInstanceOf(Date)
  const rows = await database.query(
    `select seq, type, at, step, path, attempt, data, '[]'::json as redacted from sluice.events where execution_id = $1 and seq in (3, 4)`,
    [id],
  )
  expect(page?.events).toEqual(rows)
})

test('without a place it brings the execution alone; an unknown execution is nothing', async () => {
  const id = await startExecution(database)
  await commitEvents(database, id, 1)
  expect(await readAfter(id, undefined, 500)).toMatchObject({ execution: { id, seq: 1 }, events: [] })
  expect(await readAfter(newUuid(), 0, 500)).toBeUndefined()
})

test('the newest places of many executions come in one statement; those that are not there are missing', async () => {
  const [some, none] = [await startExecution(database), newUuid()]
  await commitEvents(database, some, 3)
  const [epoch] = await database.query<{ epoch: string }>('select sluice.database_epoch() as epoch')
  expect(await readPlaces(database, [some, none])).toEqual(new Map([[some, { seq: 3, ...epoch }]]))
})

test('events are read by their key: a page of a long history touches few buffers', async () => {
  const id = await startExecution(database)
  await commitEvents(database, id, 20_000)
  let text = ''
  const recording: Database = { ...database, query: (given, params) => ((text = given), database.query(given, params)) }
  await createReadAfter(recording, masks)(id, 10_000, 10)
  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
    `explain (analyze, buffers, format json) ${text}`,
    [[id], [10_000], [10]],
  )
  const plan = row!['QUERY PLAN'][0].Plan
  expect(plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!).toBeLessThan(60)
})

test('many executions that change at once are read by a few statements, each with what is its own', async () => {
  const ids = await Promise.all(Array.from({ length: 200 }, () => startExecution(database)))
  for (const [at, id] of ids.entries()) if (at % 2 === 0) await commitEvents(database, id, 1 + (at % 3))
  let statements = 0
  const counting: Database = { ...database, query: (text, params) => ((statements += 1), database.query(text, params)) }
  const read = createReadAfter(counting, masks)
  const pages = await Promise.all([...ids, newUuid()].map((id) => read(id, 0, 500)))
  expect(statements).toBe(5)
  expect(pages.at(-1)).toBeUndefined()
  for (const [at, id] of ids.entries()) {
    expect(pages[at]).toMatchObject({ execution: { id } })
    expect(pages[at]!.events).toHaveLength(at % 2 === 0 ? 1 + (at % 3) : 0)
  }
})
