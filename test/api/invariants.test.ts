/** Damage that was planted behind the engine's back is found and mended, and the API says so. */
import { expect, test } from 'vitest'
import { createInvariantMonitor } from '../../src/engine/invariants.ts'
import { encodeId, newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { testApi } from '../harness/api.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { startFlow, storeFlow } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'

const { database, ownerQuery, engine, bus, person, run } = await testApi()
const monitor = createInvariantMonitor({ database, auditKeys, engine, bus, log: createLog('silent') })
const look = () => monitor.runOnce({ anyway: true })

const owner = await person()
const start = (flow: typeof waiting) => startFlow(engine, flow, {}, { initiatorId: owner.id })
const SIGNAL = { a: { type: 'signal', signals: ['go'] } }
const waiting = await storeFlow(database, { name: 'waiting', steps: SIGNAL }, owner.id)
const limited = await storeFlow(database, { name: 'limited', concurrency: { max: 1 }, steps: SIGNAL }, owner.id)
const parents = await storeFlow(database, { name: 'parents', steps: { a: { type: 'flow', flow: 'waiting' } } }, owner.id)

const statusOf = async (id: string) =>
  (await database.query<{ status: string }>('select status from sluice.executions where id = $1', [id]))[0]?.status
const isWaiting = (id: string) => expect.poll(() => statusOf(id), { interval: 10, timeout: 5_000 }).toBe('WAITING')
/** As the owner of the tables, past what guards ends. */
const plant = (...statements: string[]) => {
  const [off, on] = ['disable', 'enable'].map((how) => `alter table sluice.executions ${how} trigger user`)
  return ownerQuery(['begin', off, ...statements, on, 'commit'].join(';'))
}
const repairsOf = async () =>
  database.query<{ invariant: string; execution_id: string }>('select invariant, execution_id from sluice.repairs order by id')

test('where nothing is wrong nothing is done', async () => {
  const ids = await Promise.all([start(waiting), start(limited), start(limited), start(parents)])
  await Promise.all([isWaiting(ids[0]), isWaiting(ids[3])])
  expect(await look()).toBe(0)
  // another process that comes by does not look again so soon
  expect(await monitor.runOnce()).toBe(0)
  for (const executionId of ids) await engine.cancel({ executionId })
  await Promise.all(ids.map((id) => engine.ended(id, 5_000)))
})

test('while one process looks no other begins, unless it was not seen for long', async () => {
  let looks = 0
  monitor.onChecked = () => looks++
  const beganAgo = (seconds: number) =>
    ownerQuery(
      `update sluice.invariant_checks set began_at = now() - interval '${seconds} seconds', ended_at = now() - interval '1 day'`,
    )
  await beganAgo(50)
  await monitor.runOnce()
  expect(looks).toBe(0)
  await beganAgo(61)
  await monitor.runOnce()
  expect(looks).toBe(1)
})

test('a slot without a holder is freed, and whoever waited for it begins', async () => {
  const nobody = newUuid()
  await database.query(
    `insert into sluice.slots (execution_id, flow_id, key, most, priority, due_at, held_at) values ($1, $2, '', 1, 0, now(), now())`,
    [nobody, limited.flowId],
  )
  const id = await start(limited)
  expect(await statusOf(id)).toBe('PENDING')
  expect(await look()).toBe(1)
  await isWaiting(id)
  expect((await repairsOf()).at(-1)).toEqual({ invariant: 'SLOT_WITHOUT_HOLDER', execution_id: nobody })
})

test('a wait without a waker is woken: also where the end of a child was lost, and where a slot was forgotten', async () => {
  const [asleep, parent, queued] = [await start(waiting), await start(parents), await start(limited)]
  await Promise.all([isWaiting(asleep), isWaiting(parent)])
  const [child] = await database.query<{ id: string }>('select id from sluice.executions where parent_id = $1', [parent])
  await plant(
    `update sluice.executions set wake_at = null where id = '${asleep}'`,
    `update sluice.executions set status = 'SUCCEEDED', wake_at = null, deadline_at = null, in_flight = '[]', ended_at = now() - interval '1 minute' where id = '${child!.id}'`,
    `delete from sluice.slots where execution_id = '${queued}'`,
  )
  expect(await look()).toBe(3)
  await engine.ended(parent, 5_000)
  expect(await statusOf(parent)).toBe('SUCCEEDED')
  const woken = 'select wake_at is not null as woken from sluice.executions where id = $1'
  await expect.poll(() => database.query(woken, [asleep])).toEqual([{ woken: true }])
  const others = await database.query<{ id: string }>('select execution_id as id from sluice.slots where held_at is not null')
  for (const { id } of others) await engine.cancel({ executionId: id })
  await isWaiting(queued)
})

test('a child of a parent that has ended is told to end', async () => {
  const parent = await start(parents)
  await isWaiting(parent)
  const [child] = await database.query<{ id: string }>('select id from sluice.executions where parent_id = $1', [parent])
  const end = `status = 'CANCELED', wake_at = null, deadline_at = null, in_flight = '[]', ended_at = now() - interval '1 minute'`
  await plant(
    `update sluice.executions set ${end} where id = '${parent}'`,
    `update sluice.executions set created_at = created_at - interval '1 minute' where id = '${child!.id}'`,
  )
  expect(await look()).toBe(1)
  await engine.ended(child!.id, 5_000)
  expect(await statusOf(child!.id)).toBe('CANCELED')
})

test('what was found is in the audit log, and shown to administrators', async () => {
  const found = await repairsOf()
  const audit = await database.query<{ execution_id: string }>(
    `select execution_id from sluice.audit_events where type = 'invariant.repaired' order by id`,
  )
  expect(audit.map((row) => row.execution_id).toSorted()).toEqual(found.map((row) => row.execution_id).toSorted())
  const QUERY = `{ invariants { checkedAt executions slots repairs { edges { node { at invariant executionId execution { status } } } } } }`
  const { data } = await run(await person('ADMIN'), QUERY)
  expect(new Date(data.invariants.checkedAt).getTime()).toBeGreaterThan(Date.now() - 60_000)
  const shown = data.invariants.repairs.edges.map(({ node }: { node: { executionId: string } }) => node.executionId)
  expect(shown).toEqual(found.map((row) => encodeId('execution', row.execution_id)).toReversed())
  expect((await run(await person(), QUERY)).codes).toEqual(['FORBIDDEN'])
  expect(await look()).toBe(0)
  // what was planted as ended has no history of an end
  expect((await breaches(database, { atTheEnd: false })).filter((breach) => /slot|waits/.test(breach))).toEqual([])
})
