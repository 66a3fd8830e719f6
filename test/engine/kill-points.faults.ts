import { setTimeout as pause } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { createPostgresBus } from '../../src/fleet/postgres-bus.ts'
import { encodeId, newUuid } from '../../src/ids.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import { effectsFile } from '../harness/effects.ts'
import { startFlow, storeFlow, testEngine, unwrap } from '../harness/engine.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { spawnEngine } from '../harness/spawn-engine.ts'
import type { EngineProcess, KillPoint, ProcessOrder } from '../harness/spawn-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const LEASE_MS = 1000
const effects = effectsFile()
const { database, connection, env } = await testDatabase()
const bus = createPostgresBus({ database, connection, log: createLog('fatal') })
const allow = { roles: new Set(DEFAULT_ROLES), handlers: new Set(['near', 'apart']) }
/** the API beside the workers: it starts and answers, and holds nothing */
const api = await testEngine(database, { enabled: false, bus, allow })

const told = { effects: '${{ input.effects }}' }
const flows = {
  chain: await storeFlow(database, {
    name: 'chain',
    steps: {
      a: { type: 'handler', handler: 'near', with: told },
      b: { type: 'handler', handler: 'near', after: ['a'], with: { ...told, ms: 5 } },
      c: { type: 'handler', handler: 'near', after: ['b'], with: told },
    },
  }),
  waiting: await storeFlow(database, {
    name: 'waiting',
    steps: {
      a: { type: 'handler', handler: 'near', with: told },
      b: { type: 'wait', duration: 'PT0.2S', after: ['a'] },
      c: { type: 'handler', handler: 'apart', after: ['b'], with: told },
    },
  }),
  asking: await storeFlow(database, {
    name: 'asking',
    steps: {
      a: { type: 'handler', handler: 'near', with: told },
      b: { type: 'agent', role: 'ceo', subject: 'May I?', request: {}, after: ['a'] },
      c: { type: 'handler', handler: 'near', after: ['b'], with: told },
    },
  }),
}
const SHAPES = ['chain', 'chain', 'waiting', 'asking'] as const
const EXECUTIONS = 12

beforeAll(() => bus.listening())

const order = (point?: KillPoint, nth = 1): ProcessOrder => ({ leaseMs: LEASE_MS, ...(point && { dieAt: { point, nth } }) })

/** Answers every question as soon as it is asked, until told to stop. */
function answerAll(): { stop(): Promise<void> } {
  let stopped = false
  const running = (async () => {
    while (!stopped) {
      const open = await database.query<{ id: string; execution_id: string }>(
        `select id, execution_id from sluice.agent_requests where status = 'OPEN'`,
      )
      for (const { id, execution_id: executionId } of open)
        await api.answer({ requestId: id, executionId, decision: 'APPROVE', data: null, answeredBy: newUuid() })
      await pause(20)
    }
  })()
  return { stop: () => ((stopped = true), running) }
}

async function startAll(): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < EXECUTIONS; i++)
    ids.push(await startFlow(api, flows[SHAPES[i % SHAPES.length]!], { effects: effects.file }))
  return ids
}

const databaseTime = async (): Promise<Date> => (await database.query<{ at: Date }>('select clock_timestamp() as at'))[0]!.at

/** ms from `since` until each execution that the dead worker held had moved on. */
async function takeoverTimes(dead: EngineProcess, since: Date, held: readonly string[]): Promise<number[]> {
  const rows = await database.query<{ ms: number | null }>(
    `select (extract(epoch from min(v.at) - $2) * 1000)::float8 as ms from unnest($1::uuid[]) as e (id)
     left join sluice.events v on v.execution_id = e.id and v.at > $2 group by e.id`,
    [held, since],
  )
  expect(rows.length, `held by ${dead.workerId}`).toBe(held.length)
  return rows.map(({ ms }) => ms ?? Number.POSITIVE_INFINITY)
}

async function dieAndTakeOver(dying: ProcessOrder[]): Promise<void> {
  const answering = answerAll()
  const engines = await Promise.all([...dying, order()].map((each) => spawnEngine(env, each)))
  const ids = await startAll()
  let last: { dead: EngineProcess; at: Date; held: string[] } | undefined
  for (const engine of engines) {
    void engine.call({ do: 'run' }).catch(() => {})
    if (engine === engines.at(-1)) break
    await engine.gone
    const at = await databaseTime()
    const held = await database.query<{ id: string }>('select id from sluice.executions where owner = $1', [engine.workerId])
    last = { dead: engine, at, held: held.map(({ id }) => id) }
  }
  await allEnded(database, 20_000)
  await answering.stop()
  const { dead, at, held } = last!
  expect(held.length, 'what the dead worker held').toBeGreaterThan(0)
  const slowest = Math.max(...(await takeoverTimes(dead, at, held)))
  console.log(`taken over within ${Math.round(slowest)} ms of the kill (lease ${LEASE_MS} ms), ${held.length} held`)
  expect(slowest).toBeLessThan(LEASE_MS + 2000)

  const rows = await database.query<{ status: string }>('select status from sluice.executions where id = any($1::uuid[])', [ids])
  expect(rows.map(({ status }) => status)).toEqual(ids.map(() => 'SUCCEEDED'))
  expect(await breaches(database)).toEqual([])
  const ran = new Set(effects.keys())
  for (const id of ids) for (const path of ['a', 'c']) expect(ran).toContain(`${encodeId('execution', id)}/${path}`)
}

test.each<[KillPoint, number]>([
  ['after claim', 1],
  ['before commit', 1],
  ['during commit', 3],
  ['after commit', 1],
  ['after commit', 5],
  ['after act', 1],
  ['after act', 17],
])('killed %s (the time numbered %i), another worker finishes everything (D9, A5)', async (point, nth) => {
  await dieAndTakeOver([order(point, nth)])
})

test.each<KillPoint>(['after claim', 'claimed, before commit', 'claimed, after commit'])(
  'killed during a takeover, %s, a third worker finishes everything (D9)',
  async (point) => {
    await dieAndTakeOver([order('after act', 5), order(point)])
  },
)

test.each<KillPoint>(['before commit', 'during commit', 'after commit'])(
  'a start whose process died %s is one execution when it is repeated with its key (E1)',
  async (point) => {
    const [first, second] = await Promise.all([spawnEngine(env, order(point)), spawnEngine(env, order())])
    await first.call({ do: 'run' })
    const principalId = newUuid()
    const idempotency = { principalId, key: 'once', inputHash: '11'.repeat(32) }
    const start = {
      do: 'start',
      flow: flows.chain,
      input: { effects: effects.file },
      initiatorId: principalId,
      idempotency,
    } as const
    await expect(first.call(start)).rejects.toThrow('the process is gone')
    await second.call({ do: 'run' })
    unwrap((await second.call(start)) as { executionId: string })
    await allEnded(database, 10_000)
    const rows = await database.query('select 1 from sluice.executions where initiator_id = $1', [principalId])
    expect(rows.length).toBe(1)
    expect(await breaches(database)).toEqual([])
  },
)
