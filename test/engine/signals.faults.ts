/** Signals when processes die: what was sent again until it was answered came once, wherever whoever took it was killed. */
import { expect, test } from 'vitest'
import { encodeId, newUuid } from '../../src/ids.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { spawnEngine } from '../harness/spawn-engine.ts'
import type { EngineProcess, KillPoint } from '../harness/spawn-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const LEASE_MS = 800
const NAMES = ['a', 'b', 'c', 'd'] as const
const { database, env } = await testDatabase()
const api = await testEngine(database, { enabled: false })
/** Each waits for what comes while the ones before it wait, in an order that is none of its own. */
const flow = await storeFlow(database, {
  name: 'signals',
  steps: {
    both: { type: 'signal', signals: ['c', 'd'], need: 'all' },
    nap: { type: 'wait', after: ['both'], duration: 'PT0.05S' },
    one: { type: 'signal', after: ['nap'], signals: ['a', 'b'] },
    other: { type: 'signal', after: ['one'], signals: ['a', 'b'] },
  },
})

/** Until somebody who lives has answered: whoever sends does not know whether it was stored. */
async function send(receivers: EngineProcess[], executionId: string, name: string): Promise<void> {
  for (const receiver of receivers) {
    const order = { executionId, name, data: name, bytes: 3, sentBy: encodeId('user', newUuid()) }
    const answer = await receiver.call({ do: 'signal', order, key: name }).catch(() => undefined)
    if (answer !== undefined) return expect(answer).toEqual({ replayed: expect.any(Boolean) })
  }
  throw new Error(`nobody lived to take ${name}`)
}

test.each(
  (['before commit', 'during commit', 'after commit'] satisfies KillPoint[]).flatMap((point) =>
    [1, 3].map((nth) => [point, nth] as const),
  ),
)('killed %s (the time numbered %i), every signal is taken once (D9, A5, E2)', async (point, nth) => {
  const id = await startFlow(api, flow)
  const [dying, other] = await Promise.all([
    spawnEngine(env, { leaseMs: LEASE_MS, dieAt: { point, nth } }),
    spawnEngine(env, { leaseMs: LEASE_MS }),
  ])
  // one that holds the execution, or one that only visits it, dies
  await Promise.all([dying, other].map((engine) => engine.call({ do: 'run' }).catch(() => undefined)))
  for (const name of NAMES) await send([dying, other], id, name)
  await allEnded(database, 20_000)
  const { status, steps, events } = await readExecution(database, id)
  expect(status).toBe('SUCCEEDED')
  expect(events.filter(({ type }) => type === 'signal.received')).toHaveLength(NAMES.length)
  const taken = steps.flatMap(({ output }) => (output as { received?: string[] }).received ?? [])
  expect(taken.toSorted()).toEqual([...NAMES])
  const rows = await database.query(
    'select name from sluice.signals where execution_id = $1 and taken_by is not null order by name',
    [id],
  )
  expect(rows).toEqual(NAMES.map((name) => ({ name })))
  expect(await breaches(database)).toEqual([])
  await Promise.all([dying.kill(), other.kill()])
})
