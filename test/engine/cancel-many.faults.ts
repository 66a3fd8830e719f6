/** Canceling a thousand executions at once, whatever they are at: all end within the fence, and what comes late changes nothing. */
import { expect, test } from 'vitest'
import { ENGINE_ENTITIES } from '../../src/engine/entities/all.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { breaches } from '../harness/invariants.ts'
import { interceptQueries } from '../harness/intercept-queries.ts'
import { inlineRegistry, startFlow, storeFlow, testEngine, unwrap } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase({ entities: ENGINE_ENTITIES })
const EACH = 250
const FENCE_MS = 3000
/** What the machine takes for a thousand commits beside all else that it does. */
const SLACK_MS = 12_000

let open: () => void
const released = new Promise<void>((resolve) => (open = resolve))
let running = 0
const registry = inlineRegistry({
  // it does not care that it is to stop
  stubborn: async () => {
    running++
    await released
    return { done: true }
  },
})
const bus = createLocalBus(createLog('fatal'))
const settings = { fenceMs: FENCE_MS, maxHeld: 5000, leaseMs: 90_000, registry }
/** Holds everything; hears what executions say to each other, but not that somebody else has canceled one; looks at no deadlines. */
const holder = await testEngine(
  interceptQueries(database, (text, send) => (text.includes('where deadline_at <= now()') ? Promise.resolve([]) : send())),
  { ...settings, bus: { ...bus, listen: (topic, hear) => (topic.startsWith('worker:') ? () => {} : bus.listen(topic, hear)) } },
)

const count = async (where: string): Promise<number> => {
  const [row] = await database.query<{ count: number }>(
    `select count(*)::integer as count from sluice.executions e where ${where}`,
  )
  return row!.count
}

test('a thousand that run, wait, ask and have children end within the fence; late outcomes are kept, and change nothing (A10)', async () => {
  const owner = newUuid()
  const stubborn = { type: 'handler', handler: 'stubborn', with: {} }
  const flows = {
    runs: await storeFlow(
      database,
      { name: 'runs', steps: { work: stubborn, then: { type: 'transform', after: ['work'], set: {} } } },
      owner,
    ),
    waits: await storeFlow(
      database,
      { name: 'waits', steps: { a: { type: 'signal', signals: ['x'] }, b: { type: 'wait', duration: 'PT1H' } } },
      owner,
    ),
    asks: await storeFlow(
      database,
      { name: 'asks', steps: { ask: { type: 'agent', role: 'ceo', subject: '?', request: {}, timeout: 'PT600S' } } },
      owner,
    ),
    parents: await storeFlow(database, { name: 'parents', steps: { sub: { type: 'flow', flow: 'children', input: {} } } }, owner),
  }
  await storeFlow(database, { name: 'children', steps: { a: { type: 'signal', signals: ['x'] }, work: stubborn } }, owner)
  const ids = (
    await Promise.all(
      Object.values(flows).map((flow) =>
        Promise.all(Array.from({ length: EACH }, () => startFlow(holder, flow, {}, { initiatorId: owner }))),
      ),
    )
  ).flat()
  // children run too: each execution is at what it was made for
  await expect.poll(() => running, { timeout: 60_000 }).toBe(2 * EACH)
  expect(await count('ended_at is null')).toBe(5 * EACH)

  const engine = await testEngine(database, { ...settings, bus })
  const began = performance.now()
  const answers = await Promise.all(ids.map((executionId) => engine.cancel({ executionId, reason: 'enough' })))
  for (const answer of answers) unwrap(answer)
  await expect.poll(() => count('ended_at is null'), { timeout: FENCE_MS + SLACK_MS, interval: 100 }).toBe(0)
  const tookMs = Math.round(performance.now() - began)
  expect(await count(`status <> 'CANCELED'`)).toBe(0)
  // what had nothing that ran ended in the commit that canceled it; the others at the fence, counted from their own cancel
  const [fence] = await database.query<{ most: number; atOnce: number }>(`
    select max(extract(epoch from e.ended_at - v.at) * 1000)::float8 as most, (count(*) filter (where e.ended_at = v.at))::integer as "atOnce"
    from sluice.executions e join sluice.events v on v.execution_id = e.id and v.type = 'execution.cancelRequested'`)
  expect(fence!.atOnce).toBe(2 * EACH)
  console.log(
    `1,000 executions and ${EACH} children canceled in ${tookMs} ms; the last ended ${Math.round(fence!.most)} ms after its cancel`,
  )
  expect(fence!.most).toBeLessThan(FENCE_MS + SLACK_MS)

  const stored = `select md5(string_agg(e::text, '' order by e.id)) as executions,
    (select md5(string_agg(v::text, '' order by v.execution_id, v.seq)) from sluice.events v) as events,
    (select md5(string_agg(s::text, '' order by s.execution_id, s.path)) from sluice.step_runs s) as steps from sluice.executions e`
  const before = await database.query(stored)
  open()
  const late = async () =>
    (await database.query<{ count: number }>('select count(*)::integer as count from sluice.late_outcomes'))[0]!.count
  await expect.poll(late, { timeout: 60_000 }).toBe(EACH)
  expect(await database.query(stored)).toEqual(before)
  expect(await breaches(database)).toEqual([])
}, 180_000)
