/** Workers that are woken: one for each thing, whatever their number, and all the same when the one whose turn it is does not answer. */
import { beforeAll, expect, test, vi } from 'vitest'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createLog } from '../../src/log.ts'
import { chooseByName } from '../harness/choose-by-name.ts'
import { readExecution, startFlow, storeFlow } from '../harness/engine.ts'
import { isClaim } from '../harness/intercept-queries.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import type { SteeredEngine } from '../harness/steered-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase()
const bus = createLocalBus(createLog('silent'))
const WORKERS = 6

/** Claims are counted from the moment when it is called. */
async function crowd(): Promise<{ engines: SteeredEngine[]; claims(): number }> {
  let claims = 0
  const chooseChild = chooseByName(database)
  const engines = await Promise.all(Array.from({ length: WORKERS }, () => steeredEngine(database, { bus, chooseChild })))
  for (const steered of engines)
    steered.intercept = (text, send) => {
      if (isClaim(text)) claims += 1
      return send()
    }
  return { engines, claims: () => claims }
}

const ended = (id: string): Promise<void> =>
  vi.waitFor(async () => expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED' }), {
    ...{ timeout: 10_000, interval: 20 },
  })

let sleeps: { flowId: string; flowVersionId: string }
beforeAll(async () => {
  sleeps = await storeFlow(database, { name: 'sleeps', steps: { a: { type: 'wait', duration: 'PT1.2S' } } })
  await storeFlow(database, { name: 'works', steps: { a: { type: 'handler', handler: 'gated' } } })
})

test('sleepers that are due are claimed by one worker, and not tried by all', async () => {
  const { engines, claims } = await crowd()
  const ids: string[] = []
  for (let n = 0; n < 12; n++) ids.push(await startFlow(engines[n % WORKERS]!.engine, sleeps))
  for (const id of ids) await ended(id)
  // a start and an end each, and whoever asks just then
  expect(claims()).toBeLessThan(12 * 4)
})

test("a sleeper whose turn is a worker's that hangs is found by the others, each of which asks once a second", async () => {
  const { engines } = await crowd()
  // so many that the turn is nearly always one of theirs
  await ownerQuery(`insert into sluice.workers (id, expires_at, pools, capacity, held)
    select uuidv7(), now() + interval '1 minute', '{default}', 77, 0 from generate_series(1, 200)`)
  const ids: string[] = []
  for (let n = 0; n < 5; n++) ids.push(await startFlow(engines[n]!.engine, sleeps))
  for (const id of ids) await ended(id)
  await ownerQuery('delete from sluice.workers where capacity = 77')
  const [row] = await database.query<{ late: number }>(
    'select max(extract(epoch from ended_at - created_at)) - 1.2 as late from sluice.executions where id = any($1::uuid[])',
    [ids],
  )
  expect(Number(row!.late)).toBeLessThan(1.5)
})

test('a word to an execution that nobody holds wakes one worker', async () => {
  const { engines, claims } = await crowd()
  const parent = await storeFlow(database, { name: 'parent', steps: { a: { type: 'flow', flow: 'works' } } })
  const id = await startFlow(engines[0]!.engine, parent)
  const runs = () => engines.flatMap((steered) => steered.runs)
  await vi.waitFor(() => expect(runs()).toHaveLength(1), { timeout: 5_000 })
  await vi.waitFor(async () => expect(await readExecution(database, id)).toMatchObject({ status: 'WAITING' }), {
    ...{ timeout: 5_000, interval: 20 },
  })
  const before = claims()
  runs()[0]!.open()
  await ended(id)
  // and whoever asks just then
  expect(claims() - before).toBeLessThanOrEqual(WORKERS / 2)
})
