import { expect, test } from 'vitest'
import { startOrder, storeFlow, testEngine, unwrap } from '../harness/engine.ts'
import { allEnded } from '../harness/invariants.ts'
import { testDatabase } from '../harness/test-database.ts'

const POOL = 3
const { database } = await testDatabase({ poolSize: POOL })
const engine = await testEngine(database, { handlers: { quick: async () => ({}) } })

/** Every connection reports what it did when it becomes idle. */
async function countUpdates(): Promise<Record<'all' | 'hot' | 'moved', number>> {
  await Promise.all(Array.from({ length: POOL }, () => database.query('select pg_stat_force_next_flush(), pg_sleep(0.1)')))
  await database.query('select pg_stat_clear_snapshot()')
  const [row] = await database.query<Record<'all' | 'hot' | 'moved', number>>(
    `select n_tup_upd as all, n_tup_hot_upd as hot, n_tup_newpage_upd as moved from pg_stat_user_tables where schemaname = 'sluice' and relname = 'executions'`,
  )
  return row!
}

test('nearly all updates between claim and end are HOT', async () => {
  const steps = Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => [`s${i}`, { type: 'handler', handler: 'quick', ...(i > 0 && { after: [`s${i - 1}`] }) }]),
  )
  const flow = await storeFlow(database, { name: 'six', steps })
  const order = await startOrder(engine, flow)
  const executions = 300
  const before = await countUpdates()
  // few at a time: a page that is full of versions somebody may still see has no room, however narrow its rows are
  for (let i = 0; i < executions; i += 10)
    await Promise.all(Array.from({ length: 10 }, async () => unwrap(await engine.start(order))))
  await allEnded(database, 8000)
  const after = await countUpdates()
  const updates = after.all - before.all
  const hot = after.hot - before.hot
  const moved = after.moved - before.moved
  // the start holds it, the last update ends it: five of the six in between change no index
  expect(updates).toBeGreaterThanOrEqual(executions * 6)
  console.log(`${updates} updates, ${hot} of them HOT, ${moved} found their page full`)
  // on a busy machine more pages are full of versions that somebody may still see: that says nothing of indexes
  expect((hot + moved) / (updates - executions)).toBeGreaterThan(0.9)
  expect(hot / (updates - executions)).toBeGreaterThan(0.5)
})
