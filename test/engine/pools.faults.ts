/** Workers of pools as processes that are killed: what they ran goes to others of their pool, and to nobody else. */
import { expect, test, vi } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { effectsFile } from '../harness/effects.ts'
import { readExecution, storeFlow, unwrap } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { seededChance } from '../harness/seeded.ts'
import { spawnEngine } from '../harness/spawn-engine.ts'
import type { EngineProcess } from '../harness/spawn-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const LEASE_MS = 1000
const effects = effectsFile()
const { database, env } = await testDatabase()
const told = { effects: '${{ input.effects }}', ms: '${{ input.ms }}' }
const work = { type: 'handler', handler: 'near', with: told } as const

const until = <T>(check: () => T | Promise<T>, timeout = 20_000): Promise<T> => vi.waitFor(check, { timeout, interval: 20 })

async function spawn(...pools: string[]): Promise<EngineProcess> {
  const engine = await spawnEngine(env, { leaseMs: LEASE_MS, pools })
  await engine.call({ do: 'run' })
  return engine
}

async function start(at: EngineProcess, flow: { flowId: string; flowVersionId: string }, ms: number): Promise<string> {
  const input = { effects: effects.file, ms }
  const started = (await at.call({ do: 'start', flow, input, initiatorId: newUuid() })) as { executionId: string }
  return unwrap(started).executionId
}
test('a step of a killed worker is run again by another worker of its pool, never by one of the default pool (D9)', async () => {
  const flow = await storeFlow(database, {
    name: 'rendered',
    steps: { before: work, render: { ...work, pool: 'gpu', after: ['before'] }, then: { ...work, after: ['render'] } },
  })
  const usual = await spawn('default')
  const first = await spawn('gpu')
  const id = await start(usual, flow, 1500)
  await until(() => expect(effects.keys().filter((key) => key.endsWith('/render'))).toHaveLength(1))
  await first.kill()
  const second = await spawn('gpu')
  await until(async () => expect((await readExecution(database, id)).status).toBe('SUCCEEDED'))
  const runs = effects.lines().map((line) => line.split(' '))
  const by = (step: string) => runs.filter(([key]) => key!.endsWith(`/${step}`)).map(([, , pid]) => pid)
  expect(by('before')).toEqual(by('then'))
  expect(by('render')).toHaveLength(2)
  expect(by('render')).not.toContain(by('before')[0])
  const { events, steps } = await readExecution(database, id)
  const typesOfRender = events.filter(({ path }) => path === 'render').map(({ type }) => type)
  expect(typesOfRender).toEqual(['step.started', 'step.claimed', 'step.restarted', 'step.claimed', 'step.succeeded'])
  expect(steps.find(({ path }) => path === 'render')).toMatchObject({ status: 'SUCCEEDED', attempt: 1 })
  expect(second.alive).toBe(true)
  expect(await database.query('select from sluice.pooled_steps')).toEqual([])
  expect(await breaches(database, { atTheEnd: true })).toEqual([])
})

test('workers of pools killed at random: every execution ends, each step in its pool, and no row is left (D9, A5)', async () => {
  const chance = seededChance()
  const items = { type: 'map', over: [1, 2, 3, 4], parallel: 2, step: { ...work, pool: 'gpu' } }
  const flow = await storeFlow(database, {
    name: 'mixed',
    steps: {
      a: work,
      b: { ...work, pool: 'gpu', retry: { attempts: 2, delay: 'PT0.01S' } },
      c: { ...items, after: ['a'] },
      d: { ...work, pool: 'eu', after: ['b'], compensate: { ...work, pool: 'gpu' } },
      e: { type: 'wait', duration: 'PT0.1S', after: ['d'] },
    },
  })
  const pools = [['default'], ['gpu'], ['gpu', 'eu'], ['default', 'eu']]
  const engines = await Promise.all(pools.map((names) => spawn(...names)))
  const ids: string[] = []
  for (let round = 0; round < 4; round++) {
    const at = chance.between(0, engines.length - 1)
    ids.push(
      ...(await Promise.all(engines.flatMap((engine) => (engine.alive ? [start(engine, flow, chance.between(0, 60))] : [])))),
    )
    if (round % 2 === 1) {
      await engines[at]!.kill()
      engines[at] = await spawn(...pools[at]!)
    }
  }
  expect(ids.length).toBe(16)
  await until(async () => {
    const [row] = await database.query<{ left: number }>(
      'select count(*)::integer as left from sluice.executions where ended_at is null',
    )
    expect(row!.left).toBe(0)
  }, 60_000)
  expect(await database.query('select from sluice.pooled_steps')).toEqual([])
  expect(await breaches(database, { atTheEnd: true })).toEqual([])
}, 180_000)
