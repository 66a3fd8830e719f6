import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createPostgresBus } from '../../src/fleet/postgres-bus.ts'
import { isProblem } from '../../src/errors.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import { startOrder, storeFlow, testEngine } from '../harness/engine.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { seededChance } from '../harness/seeded.ts'
import { spawnEngine } from '../harness/spawn-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const BLOWS = 1_000
const LEASE_MS = 600
const MAX = 3

const { database, connection, env } = await testDatabase()
const bus = createPostgresBus({ database, connection, log: createLog('fatal') })
const allow = { roles: new Set(DEFAULT_ROLES), handlers: new Set(['near', 'apart']) }
/** It starts and cancels, and holds nothing. */
const api = await testEngine(database, { enabled: false, bus, allow })

const near = (ms: number) => ({ type: 'handler', handler: 'near', with: { ms } })
const SHAPES = {
  runs: { steps: { a: near(30), b: { ...near(30), after: ['a'] } } },
  naps: { steps: { a: near(5), b: { type: 'wait', duration: 'PT0.2S', after: ['a'] } } },
  timesOut: { timeout: 'PT0.3S', onFailure: { flow: 'tell' }, steps: { a: { type: 'signal', signals: ['never'] } } },
  parents: { steps: { a: { type: 'flow', flow: 'naps', input: { k: '${{ input.k }}' } } } },
  newest: { onLimit: 'cancelOlder', steps: { a: near(60) } },
}

/** Of one moment: whoever has begun holds a slot, and whoever holds one has not ended; never more than may. */
const WRONG = `
  select e.id, 'runs without a slot' as what from sluice.executions e
  join sluice.flow_versions v on v.id = e.flow_version_id and v.definition::jsonb ? 'concurrency'
  where e.started_at is not null and e.ended_at is null
    and not exists (select from sluice.slots s where s.execution_id = e.id and s.held_at is not null)
  union all
  select s.execution_id, 'holds a slot after its end' from sluice.slots s
  where not exists (select from sluice.executions e where e.id = s.execution_id and e.ended_at is null)
  union all
  select s.flow_id, 'more than may' from sluice.slots s where s.held_at is not null group by s.flow_id, s.key having count(*) > ${MAX}`

test(`slots never leak: after ${BLOWS} kills, cancels and time-outs as many are held as run, and each failure started its flow once`, async () => {
  const chance = seededChance()
  await storeFlow(database, { name: 'tell', steps: { a: { type: 'transform', set: {} } } })
  const flows = await Promise.all(
    Object.entries(SHAPES).map(([name, shape]) => {
      const { onLimit = 'queue', ...rest } = shape as { onLimit?: string }
      return storeFlow(database, { name, concurrency: { max: MAX, key: '${{ input.k }}', onLimit, maxQueued: 60 }, ...rest })
    }),
  )
  const living: string[] = []
  let canceled = 0
  async function stir(): Promise<void> {
    await Promise.all(
      Array.from({ length: 25 }, async () => {
        const order = await startOrder(
          api,
          chance.pick(flows),
          { k: chance.pick(['x', 'y', 'z']) },
          { priority: chance.between(0, 2) },
        )
        const started = await api.start(order)
        if (!isProblem(started)) living.push(started.executionId)
      }),
    )
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        const executionId = living.splice(chance.between(0, living.length - 1), 1)[0]
        if (executionId && !isProblem(await api.cancel({ executionId }))) canceled++
      }),
    )
  }
  const countBlows = async (underWay: number): Promise<number> => {
    const [row] = await database.query<{ count: number }>(
      `select count(*)::int as count from sluice.executions where status = 'TIMED_OUT'`,
    )
    return underWay + canceled + row!.count
  }

  let underWay = 0
  let kills = 0
  let next = spawnEngine(env, { leaseMs: LEASE_MS })
  for (; (await countBlows(underWay)) < BLOWS; kills++) {
    const worker = await next
    next = spawnEngine(env, { leaseMs: LEASE_MS })
    await worker.call({ do: 'run' })
    const until = performance.now() + chance.between(300, 1_500)
    while (performance.now() < until) {
      await stir()
      expect(await database.query(`${WRONG} limit 3`)).toEqual([])
      await pause(chance.between(0, 60))
    }
    await worker.kill()
    const [row] = await database.query<{ count: number }>(
      'select count(*)::int as count from sluice.executions where owner = $1',
      [worker.workerId],
    )
    underWay += row!.count
    expect(await database.query(`${WRONG} limit 3`)).toEqual([])
  }
  const last = await next
  await last.call({ do: 'run' })
  await allEnded(database, 60_000)
  console.log(`${kills} kills with ${underWay} under way, ${canceled} cancels, ${(await countBlows(0)) - canceled} time-outs`)

  expect(await database.query('select execution_id from sluice.slots')).toEqual([])
  // killed at random a dozen times, one may have run alone at three of them
  expect((await breaches(database)).filter((breach) => !breach.includes('taken for poisonous'))).toEqual([])
  await expect
    .poll(() => database.query('select execution_id from sluice.failures where handled_by is null limit 3'), { timeout: 20_000 })
    .toEqual([])
  const [told] = await database.query<{ failed: number; told: number }>(
    `select (select count(*)::int from sluice.executions where status = 'TIMED_OUT') as failed,
      (select count(*)::int from sluice.executions e join sluice.flows f on f.id = e.flow_id where f.name = 'tell') as told`,
  )
  expect(told!.told).toBe(told!.failed)
})
