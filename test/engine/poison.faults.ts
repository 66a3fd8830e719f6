import { expect, test } from 'vitest'
import { createPostgresBus } from '../../src/fleet/postgres-bus.ts'
import { encodeId } from '../../src/ids.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import { effectsFile } from '../harness/effects.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { spawnEngine } from '../harness/spawn-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const LEASE_MS = 1000
const MOST_RESTARTS = 15
const POISONED_EXPECTED = { except: ['no step was taken for poisonous'] }

const effects = effectsFile()
const { database, connection, env } = await testDatabase()
const bus = createPostgresBus({ database, connection, log: createLog('fatal') })
const handlers = new Set(['near', 'apart', 'kills_itself', 'kills_its_worker'])
const api = await testEngine(database, { enabled: false, bus, allow: { roles: new Set(DEFAULT_ROLES), handlers } })

const withEffects = { effects: '${{ input.effects }}' }
const flowOf = (handler: string, more: object = {}) =>
  storeFlow(database, {
    name: `${handler} ${JSON.stringify(more).length}`,
    steps: { a: { type: 'handler', handler, with: withEffects, ...more } },
  })
const innocent = await flowOf('near', { with: { ...withEffects, ms: 150 } })
const innocentApart = await flowOf('apart', { with: { ...withEffects, ms: 150 } })
const killsItself = await flowOf('kills_itself')
const killsItsWorker = await flowOf('kills_its_worker')
const atMostOnce = await flowOf('kills_itself', { atMostOnce: true })

const start = (flow: { flowId: string; flowVersionId: string }): Promise<string> =>
  startFlow(api, flow, { effects: effects.file })

/** Starts a worker again whenever it dies, until everything has ended; how often it died. */
async function restartUntilAllEnded(): Promise<number> {
  const ended = allEnded(database, 50_000).then(() => 'ended')
  let next = spawnEngine(env, { leaseMs: LEASE_MS })
  for (let deaths = 0; deaths <= MOST_RESTARTS; deaths++) {
    const worker = await next
    next = spawnEngine(env, { leaseMs: LEASE_MS })
    void worker.call({ do: 'run' }).catch(() => {})
    if ((await Promise.race([worker.gone, ended])) !== 'ended') continue
    await Promise.all([worker.kill(), next.then((unused) => unused.kill())])
    return deaths
  }
  throw new Error(`the worker still dies after ${MOST_RESTARTS} restarts`)
}

async function innocents(): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < 6; i++) ids.push(await start(i % 2 === 0 ? innocent : innocentApart))
  return ids
}

async function expectSucceeded(ids: readonly string[]): Promise<void> {
  for (const id of ids) expect(await readExecution(database, id)).toMatchObject({ status: 'SUCCEEDED' })
}

test('a handler that kills its own process takes its worker down once; then it runs isolated and fails alone (A3, D9)', async () => {
  const guilty = await start(killsItself)
  const beside = await innocents()
  expect(await restartUntilAllEnded()).toBe(1)
  expect(await readExecution(database, guilty)).toMatchObject({ status: 'FAILED', error: { code: 'HANDLER_CRASHED' } })
  await expectSucceeded(beside)
  expect(effects.lines().filter((line) => line.startsWith('killed'))).toEqual(['killed worker', 'killed child'])
  expect(await breaches(database)).toEqual([])
})

test('a handler that takes its worker down wherever it runs is POISONED after a bounded number of restarts, and nobody else (A3, D9)', async () => {
  const guilty = [await start(killsItsWorker), await start(killsItsWorker)]
  const beside = await innocents()
  const deaths = await restartUntilAllEnded()
  // twice together with others, then three times alone each
  expect(deaths).toBeLessThanOrEqual(2 + 2 * 3)
  for (const id of guilty) {
    const execution = await readExecution(database, id)
    expect(execution).toMatchObject({ status: 'FAILED', error: { code: 'POISONED', step: 'a' } })
    expect(execution.events.filter(({ type }) => type === 'step.isolated').length).toBe(3)
  }
  await expectSucceeded(beside)
  expect(await breaches(database, POISONED_EXPECTED)).toEqual([])
})

test('a step that may run at most once fails with OUTCOME_UNKNOWN after a takeover, and did not run again (D9)', async () => {
  const before = effects.lines().length
  const id = await start(atMostOnce)
  expect(await restartUntilAllEnded()).toBe(1)
  expect(await readExecution(database, id)).toMatchObject({ status: 'FAILED', error: { code: 'OUTCOME_UNKNOWN', step: 'a' } })
  expect(effects.lines().length).toBe(before + 1)
  expect(await breaches(database, POISONED_EXPECTED)).toEqual([])
})

test('an innocent suspect is not blamed for the crashes of steps that began beside it (D9)', async () => {
  // crashes that happen while it runs alone, each by somebody else who runs for the first time
  const slow = await flowOf('apart', { with: { ...withEffects, ms: 400 } })
  const id = await start(slow)
  const countRuns = (): number => effects.lines().filter((line) => line.includes(encodeId('execution', id))).length
  const isOver = async (): Promise<boolean> => (await readExecution(database, id)).status !== 'RUNNING'
  for (let crash = 0; crash < 5 && (crash === 0 || !(await isOver())); crash++) {
    const worker = await spawnEngine(env, { leaseMs: LEASE_MS })
    const runs = countRuns()
    await worker.call({ do: 'run' })
    await expect.poll(countRuns, { timeout: 8000, interval: 20 }).toBeGreaterThan(runs)
    await start(killsItself)
    await Promise.race([worker.gone, allEnded(database, 20_000)])
    await worker.kill()
  }
  await restartUntilAllEnded()
  await expectSucceeded([id])
  expect(await breaches(database, POISONED_EXPECTED)).toEqual([])
})
