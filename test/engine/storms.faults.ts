/** Everything that steps of pools meet, at random and at once, in bad weather: whatever happens, what is stored stays sound. */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { startOrder, storeFlow, testEngine } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { runSeed, seededChance } from '../harness/seeded.ts'
import type { Chance } from '../harness/seeded.ts'
import { LEASE_MS, stormyFleet } from '../harness/stormy-fleet.ts'
import { testDatabase } from '../harness/test-database.ts'

const STORMS = Number(process.env['SLUICE_TEST_STORMS'] ?? 1)
const GUSTS = 4

const { database } = await testDatabase()
const api = await testEngine(database, { enabled: false, handlers: { work: () => ({}) }, leaseMs: 600_000 })

const work = (ms: number, more: object = {}) => ({ type: 'handler', handler: 'work', with: { ms, ...more } })
const retry = { attempts: 3, delay: 'PT0S', jitter: 0 }
const gpu = { pool: 'gpu' }
const eu = { pool: 'eu' }
const FLOWS = {
  chain: {
    steps: {
      a: { ...work(5), ...gpu },
      b: { ...work(10), after: ['a'] },
      c: { ...work(20), ...eu, after: ['b'], retry: { attempts: 2 } },
    },
  },
  tried: { steps: { a: { ...work(2, { until: 3 }), ...gpu, retry }, b: { ...work(2, { until: 2 }), retry, after: ['a'] } } },
  once: {
    steps: {
      a: { ...work(15, { once: true }), ...gpu, atMostOnce: true, onError: 'continue' },
      b: { ...work(15, { once: true }), atMostOnce: true, onError: 'continue' },
      c: { ...work(1), ...eu, after: ['a', 'b'] },
    },
  },
  maps: {
    steps: {
      a: { type: 'map', over: [1, 2, 3, 4, 5, 6], parallel: 3, step: { ...work(4, { until: 2 }), ...gpu, retry } },
      b: { type: 'loop', times: 3, step: { ...work(3), ...eu } },
      c: { type: 'map', over: [1, 2], step: { type: 'flow', flow: 'elsewhere' }, after: ['a'] },
    },
  },
  elsewhere: { pool: 'eu', steps: { a: work(5), b: { ...work(5), ...gpu, after: ['a'] } } },
  undone: {
    steps: {
      a: { ...work(3), ...gpu, compensate: { ...work(5), ...eu } },
      b: { ...work(3), after: ['a'], compensate: { ...work(5), ...gpu, retry } },
      c: { type: 'fail', after: ['b'], code: 'NO', message: 'no' },
    },
  },
  late: {
    timeout: 'PT1.5S',
    steps: {
      a: { ...work(0, { hangs: true }), ...gpu, timeout: 'PT0.3S', onError: 'continue' },
      b: { ...work(0, { hangs: true }), ...eu, after: ['a'] },
    },
  },
  told: {
    steps: {
      a: { ...work(30), ...gpu },
      s: { type: 'signal', signals: ['go'], timeout: 'PT4S', onError: 'continue' },
      b: { ...work(5), ...gpu, after: ['s'] },
      w: { type: 'wait', duration: 'PT0.05S', after: ['s'] },
      c: { ...work(5), ...eu, after: ['w', 'a'] },
    },
  },
  few: {
    concurrency: { max: 2, key: '${{ input.key }}' },
    steps: { a: { ...work(10), ...gpu }, b: { ...work(5), after: ['a'] } },
  },
}
type Flow = { flowId: string; flowVersionId: string }
const flows: Flow[] = []
for (const [name, flow] of Object.entries(FLOWS)) flows.push(await storeFlow(database, { name, ...flow }))
const POOLS = [['default'], ['gpu'], ['gpu', 'eu'], ['default', 'eu'], ['default', 'gpu', 'eu']]

async function storm(chance: Chance): Promise<number> {
  const fleet = stormyFleet(database, chance)
  const nodes = await Promise.all(POOLS.map((pools) => fleet.node(pools)))
  const going: Promise<unknown>[] = []
  const ids: string[] = []
  const initiators = [newUuid(), newUuid()]
  const isOver = (id: string) => database.query('select from sluice.executions where id = $1 and ended_at is not null', [id])

  /** by whoever is there: a refusal is an answer */
  const ask = (what: 'cancel' | 'pause' | 'resume' | 'signal', executionId: string): void => {
    const { engine } = chance.next() < 0.5 ? { engine: api } : chance.pick(nodes)
    const idempotency = { principalId: newUuid(), key: newUuid(), inputHash: Buffer.from('x') }
    const signal = { executionId, name: 'go', data: null, bytes: 4, sentBy: 'user_x', idempotency }
    const asked = what === 'signal' ? engine.signal(signal) : engine[what]({ executionId })
    going.push(Promise.race([asked.catch(() => undefined), pause(5000)]))
  }
  async function replace(at: number, end: 'kill' | 'drain'): Promise<void> {
    const old = nodes[at]!
    nodes[at] = await fleet.node(old.pools)
    if (end === 'kill') old.kill()
    else going.push(old.drain())
  }

  async function startSome(): Promise<void> {
    const flow = chance.pick(flows)
    for (let count = chance.between(1, 4); count > 0; count--) {
      const more = { initiatorId: chance.pick(initiators), priority: chance.between(-5, 5) }
      const started = await api.start(await startOrder(api, flow, { key: chance.pick(['x', 'y']) }, more))
      if ('executionId' in started) ids.push(started.executionId)
    }
  }
  async function pauseShortly(id: string): Promise<void> {
    ask('pause', id)
    await pause(chance.between(0, 40))
    ask('resume', id)
  }

  async function gust(): Promise<void> {
    fleet.storm(true)
    const until = performance.now() + chance.between(100, 700)
    let looking = Promise.resolve()
    const look = async (): Promise<void> => {
      expect(await breaches(database, { atTheEnd: false })).toEqual([])
      if (performance.now() < until) looking = pause(100).then(look)
    }
    looking = look()
    while (performance.now() < until) {
      const dice = chance.next()
      const id = ids.length > 0 ? chance.pick(ids.slice(-12)) : undefined
      if (dice < 0.45 || id === undefined) going.push(startSome())
      else if (dice < 0.5) ask('cancel', id)
      else if (dice < 0.68) going.push(pauseShortly(id))
      else if (dice < 0.74) ask('pause', id)
      else if (dice < 0.8) ask('resume', id)
      else if (dice < 0.88) ask('signal', id)
      else if (dice < 0.93) chance.pick(nodes).cut(LEASE_MS * chance.pick([0.2, 0.8, 0.9, 1, 1.2, 2]))
      else if (dice < 0.97) await replace(chance.between(0, nodes.length - 1), 'kill')
      else await replace(chance.between(0, nodes.length - 1), 'drain')
      expect(fleet.doubles).toEqual([])
      await pause(chance.between(0, 20))
    }
    await looking
    if (chance.next() < 0.3) for (const node of nodes) node.cut(LEASE_MS * chance.pick([0.7, 0.9, 1.1]))
    fleet.storm(false)
    await Promise.all(going.splice(0))
  }
  async function lull(): Promise<void> {
    const left = new Set(ids)
    const patience = performance.now() + 10_000
    while (left.size > 0) {
      for (const id of left) {
        if ((await isOver(id)).length > 0) left.delete(id)
        else await api.resume({ executionId: id })
      }
      expect(fleet.doubles).toEqual([])
      if (performance.now() > patience) {
        const stuck = await database.query(
          `select e.id, e.status, e.owner, e.epoch, e.wake_at, e.pause_reason, e.cancel_reason, e.in_flight, (select json_agg(p) from sluice.pooled_steps p where p.execution_id = e.id) as rows,
           e.owner is not null and not exists (select from sluice.workers w where w.id = e.owner and w.expires_at > now()) as lost
         from sluice.executions e where e.ended_at is null limit 3`,
        )
        throw new Error(
          `not ended: ${JSON.stringify(stuck)}; alive: ${JSON.stringify(nodes.map(({ engine, pools }) => [engine.workerId, pools]))}`,
        )
      }
      await pause(50)
    }
    ids.length = 0
  }
  for (let gusts = 0; gusts < GUSTS; gusts++) {
    await gust()
    await lull()
  }
  expect(await breaches(database, { atTheEnd: true, except: ['no step was taken for poisonous'] })).toEqual([])
  await Promise.all(nodes.map((node) => node.drain()))
  return fleet.begun
}

test('in storms over workers of pools nothing runs twice without a reason, every execution ends, and at each moment the queues are what is in flight (D9, A5, A10, A16)', async () => {
  const first = runSeed()
  for (let seed = first; seed < first + STORMS; seed++) {
    const began = performance.now()
    const begun = await storm(seededChance(seed))
    console.log(`${begun} attempts, ${Math.round(performance.now() - began)} ms`)
  }
}, 600_000)
