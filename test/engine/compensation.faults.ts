import { beforeAll, expect, test } from 'vitest'
import { createPostgresBus } from '../../src/fleet/postgres-bus.ts'
import { encodeId } from '../../src/ids.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import { effectsFile } from '../harness/effects.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { spawnEngine } from '../harness/spawn-engine.ts'
import type { KillPoint } from '../harness/spawn-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const LEASE_MS = 1000
const effects = effectsFile()
const { database, connection, env } = await testDatabase()
const bus = createPostgresBus({ database, connection, log: createLog('fatal') })
const allow = { roles: new Set(DEFAULT_ROLES), handlers: new Set(['near', 'apart']) }
/** the API beside the workers: it starts, and holds nothing */
const api = await testEngine(database, { enabled: false, bus, allow })

const act = (handler: 'near' | 'apart', more: object = {}): object => ({
  ...{ type: 'handler', handler, with: { effects: '${{ input.effects }}' } },
  ...more,
})
const saga = await storeFlow(database, {
  name: 'saga',
  steps: {
    a: act('near', { compensate: act('near') }),
    b: act('near', { after: ['a'], compensate: act('apart') }),
    c: act('near', { after: ['b'], compensate: act('near', { retry: { attempts: 2, delay: 'PT0.05S' } }) }),
    stop: { type: 'fail', after: ['c'], message: 'sold out' },
  },
})
const EXECUTIONS = 4

beforeAll(() => bus.listening())

/** Of one execution there are seven acts and about seven commits; four run side by side. The first process dies at each of these. */
test.each<[KillPoint, number]>([
  ['after act', 13],
  ['after act', 18],
  ['after act', 21],
  ['before commit', 8],
  ['after commit', 8],
  ['during commit', 8],
])('killed %s (the time numbered %i) while it undoes, another worker goes on where it was (D9, E6)', async (point, nth) => {
  const ids: string[] = []
  const dying = await spawnEngine(env, { leaseMs: LEASE_MS, dieAt: { point, nth } })
  for (let i = 0; i < EXECUTIONS; i++) ids.push(await startFlow(api, saga, { effects: effects.file }))
  void dying.call({ do: 'run' }).catch(() => {})
  await dying.gone
  const undoing = await database.query('select 1 from sluice.executions where ending is not null')
  const heir = await spawnEngine(env, { leaseMs: LEASE_MS })
  void heir.call({ do: 'run' }).catch(() => {})
  await allEnded(database, 20_000)
  await heir.kill()
  expect(undoing.length, 'executions that were being undone at the kill').toBeGreaterThan(0)

  expect(await breaches(database)).toEqual([])
  const ran = effects.keys()
  for (const id of ids) {
    const execution = await readExecution(database, id)
    expect(execution).toMatchObject({ status: 'FAILED', reason: 'FLOW_FAILED: sold out' })
    const undone = execution.events.filter(({ type, path }) => type === 'step.succeeded' && path!.endsWith('.compensate'))
    expect(undone.map(({ path }) => path)).toEqual(['c.compensate', 'b.compensate', 'a.compensate'])
    expect(execution.events.filter(({ type }) => type === 'compensation.started').length).toBe(1)
    // at least once, and never before what comes before it
    const order = ['c', 'b', 'a'].map((step) => ran.indexOf(`${encodeId('execution', id)}/${step}.compensate`))
    expect(order).not.toContain(-1)
    expect(order.toSorted((x, y) => x - y)).toEqual(order)
  }
})
