import { expect, test } from 'vitest'
import { startOrder, storeFlow, unwrap } from '../harness/engine.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase()
const WAITING = 10_000

test('10,000 waiting executions cost no timers, no mailboxes, and a look for work that reads a few pages (issue 2)', async () => {
  const steered = await steeredEngine(database)
  const { engine } = steered
  const flows = await Promise.all([
    storeFlow(database, {
      name: 'asks',
      steps: { a: { type: 'agent', role: 'ceo', subject: '?', request: {}, timeout: 'PT10M' } },
    }),
    storeFlow(database, { name: 'waits', steps: { a: { type: 'wait', duration: 'PT1H' } } }),
  ])
  const orders = await Promise.all(flows.map((flow) => startOrder(engine, flow)))
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const timersBefore = timers()
  for (let started = 0; started < WAITING; started += 1000)
    await Promise.all(Array.from({ length: 1000 }, async (_, i) => unwrap(await engine.start(orders[i % 2]!))))

  const [row] = await database.query<{ count: number }>(
    `select count(*)::int as count from sluice.executions where status = 'WAITING' and owner is null and wake_at is not null`,
  )
  expect(row!.count).toBe(WAITING)
  expect(engine.worker.mailboxes.size).toBe(0)
  expect(timers()).toBeLessThan(timersBefore + 10)

  let statements = 0
  steered.intercept = (_text, send) => {
    statements += 1
    return send()
  }
  const LOOKS = 20
  const cpu = process.cpuUsage()
  for (let look = 0; look < LOOKS; look++) await engine.worker.runOnce()
  const { user, system } = process.cpuUsage(cpu)
  // one a look, and what other loops of the engine ask meanwhile: a statement or two a second each
  expect(statements).toBeLessThan(LOOKS * 2)
  expect((user + system) / 1000 / LOOKS, 'ms of CPU a look').toBeLessThan(10)

  // never analysed, as after a flood of starts
  for (const look of [`claim_next('${engine.workerId}', 256, null)`, `find_work('${engine.workerId}', '{default}', true)`]) {
    const explain = () =>
      ownerQuery<{ 'QUERY PLAN': { Plan: Record<string, number> }[] }>(
        `explain (analyze, buffers, format json) select * from sluice.${look}`,
      )
    // the first call of a connection reads the catalog
    await explain()
    const [plan] = await explain()
    const { 'Shared Hit Blocks': hit = 0, 'Shared Read Blocks': read = 0 } = plan!['QUERY PLAN'][0]!.Plan
    expect(hit + read, look).toBeLessThan(100)
  }
}, 30_000)
