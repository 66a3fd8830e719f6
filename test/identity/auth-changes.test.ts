/** Every process learns of changes within a second, and one that cannot lets nobody in. */
import { expect, test } from 'vitest'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createAuthChanges, isAffected, recordAuthChange, recordFlowChange } from '../../src/identity/auth-changes.ts'
import type { AuthSubject, Changed } from '../../src/identity/auth-changes.ts'
import { rightsSubjectsOf } from '../../src/identity/grantees.ts'
import type { UserPrincipal } from '../../src/identity/principal.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase()
const log = createLog('silent')

/** What another process knows; its time only moves when told. */
function elsewhere(bus = createLocalBus(log), longestWaitMs = 5_000) {
  const it = { now: 0, down: false, told: [] as Changed[] }
  const changes = createAuthChanges({
    database: {
      onCommitted: () => undefined,
      query: (text, params) => (it.down ? Promise.reject(new Error('down')) : database.query(text, params)),
    },
    bus,
    log,
    monotonic: () => it.now,
    longestWaitMs,
  })
  changes.onAuthChange((changed) => it.told.push(changed))
  return Object.assign(it, { changes })
}
const someone = (): AuthSubject => `user:${newUuid()}`
const ownRows = async (subject: string) =>
  (await database.query('select id, subject, concerned from sluice.auth_changes where subject = $1', [subject])).map((row) =>
    JSON.stringify(row),
  )
const USER: UserPrincipal = {
  ...{ kind: 'USER', id: newUuid(), actsAs: newUuid(), role: 'USER', handle: 'me', sessionId: newUuid(), expiresAt: Infinity },
}
const record = (...subjects: AuthSubject[]) => database.transaction((em) => recordAuthChange(em, ...subjects))

test('a change is told once, whatever number of polls see it (B11)', async () => {
  const it = elsewhere()
  await it.changes.runOnce()
  it.told = []
  const subject = someone()
  await record(subject)
  await it.changes.runOnce()
  await it.changes.runOnce()
  expect(it.told).toEqual([new Set([subject])])
  expect(isAffected(it.told[0]!, [someone(), subject])).toBe(true)
  expect(isAffected(it.told[0]!, [someone()])).toBe(false)
})

test('a change that was written before a poll and committed after it is told by the next one', async () => {
  const it = elsewhere()
  await it.changes.runOnce()
  it.told = []
  const subject = someone()
  await database.transaction(async (em) => {
    await recordAuthChange(em, subject)
    await it.changes.runOnce()
    expect(it.told).toEqual([])
  })
  await it.changes.runOnce()
  expect(it.told).toEqual([new Set([subject])])
})

test('this process knows of its own change before the transaction resolves, and of one that was rolled back never', async () => {
  const told: Changed[] = []
  const changes = createAuthChanges({ database, bus: createLocalBus(log), log })
  changes.onAuthChange((changed) => told.push(changed))
  const [done, undone] = [someone(), someone()]
  await record(done)
  expect(told).toEqual([new Set([done])])
  const failed = database.transaction(async (em) => {
    await recordAuthChange(em, undone)
    throw new Error('rolled back')
  })
  await expect(failed).rejects.toThrow('rolled back')
  await changes.runOnce()
  expect(told.some((changed) => isAffected(changed, [undone]))).toBe(false)
  // polls see it too, and it is not told again
  await changes.runOnce()
  expect(told.filter((changed) => isAffected(changed, [done]))).toHaveLength(1)
})

test('a change that a poll sees before its own transaction has told it is told once', async () => {
  const told: Changed[] = []
  let tell: (rows: readonly string[]) => void = () => undefined
  const onCommitted: typeof database.onCommitted = (_topic, listener) => (tell = listener)
  const changes = createAuthChanges({ database: { query: database.query, onCommitted }, bus: createLocalBus(log), log })
  await changes.runOnce()
  changes.onAuthChange((changed) => told.push(changed))
  const subject = someone()
  await record(subject)
  await changes.runOnce()
  tell(await ownRows(subject))
  await changes.runOnce()
  expect(told).toEqual([new Set([subject])])
})

test('a change of a flow is told to those whose rights it changes; of one that does not say whose, to all (B4)', async () => {
  const it = elsewhere()
  await it.changes.runOnce()
  it.told = []
  const [flowId, user] = [newUuid(), newUuid()]
  await database.transaction((em) => recordFlowChange(em, flowId, [`user:${user}`, 'role:VIEWER']))
  await it.changes.runOnce()
  expect(it.told).toEqual([new Set([`flow:${flowId}`, `rights:user:${user}`, 'rights:role:VIEWER'])])
  const who = (more: Partial<UserPrincipal>) => rightsSubjectsOf({ ...USER, ...more })
  expect(isAffected(it.told[0]!, who({ actsAs: user }))).toBe(true)
  expect(isAffected(it.told[0]!, who({ role: 'VIEWER' }))).toBe(true)
  expect(isAffected(it.told[0]!, who({}))).toBe(false)
  // as a process of an earlier version writes it
  await record(`flow:${flowId}`)
  await it.changes.runOnce()
  expect(isAffected(it.told[1]!, who({}))).toBe(true)
})

test('what is in memory is good while the last good poll is under 900 ms old; then it waits, and fails closed (B11)', async () => {
  const it = elsewhere()
  await it.changes.fresh()
  it.down = true
  it.now += 899
  await it.changes.fresh()
  it.now += 1
  let freshened = false
  const fresh = it.changes.fresh().then(() => (freshened = true))
  await it.changes.runOnce()
  expect(freshened).toBe(false)
  it.down = false
  await fresh
})

test('without a good poll for too long it says so', async () => {
  const it = elsewhere(createLocalBus(log), 50)
  it.down = true
  await expect(it.changes.fresh()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})

test('a ring of the bus makes others look at once', async () => {
  const bus = createLocalBus(log)
  const it = elsewhere(bus)
  await it.changes.runOnce()
  const told = new Promise<Changed>((resolve) => it.changes.onAuthChange(resolve))
  it.changes.start()
  const subject = someone()
  const here = createAuthChanges({ database, bus, log })
  await record(subject)
  expect(isAffected(await told, [subject])).toBe(true)
  await Promise.all([it.changes.stop(), here.stop()])
})

test('an answer that was asked for before a change is too old after it', async () => {
  const it = elsewhere()
  const [subject, other] = [someone(), someone()]
  await it.changes.runOnce()
  it.now = 10
  await record(subject)
  await it.changes.runOnce()
  expect(it.changes.changedSince([subject], 10)).toBe(true)
  expect(it.changes.changedSince([other], 10)).toBe(false)
  expect(it.changes.changedSince([subject], 11)).toBe(false)
})

test('a process that could not look for longer than changes are kept takes everything to be changed', async () => {
  const it = elsewhere()
  await it.changes.runOnce()
  it.told = []
  // as if the last poll had been eleven minutes ago
  const late = createAuthChanges({
    database: {
      onCommitted: () => undefined,
      query: (text, params) =>
        database.query(
          text,
          params?.map((time) => time && new Date(Date.now() - 660_000).toISOString()),
        ),
    },
    bus: createLocalBus(log),
    log,
  })
  const told: Changed[] = []
  await late.runOnce()
  late.onAuthChange((changed) => told.push(changed))
  await late.runOnce()
  expect(told).toEqual(['EVERYTHING'])
})

test('old changes are removed in batches', async () => {
  await ownerQuery(
    `insert into sluice.auth_changes (subject, at) select 'user:' || gen_random_uuid(), now() - interval '11 minutes' from generate_series(1, 1200)`,
  )
  const it = elsewhere()
  const left = async () =>
    (
      await database.query<{ n: number }>(
        `select count(*) as n from sluice.auth_changes where at < now() - interval '10 minutes'`,
      )
    )[0]!.n
  for (const expected of [200, 0]) {
    it.now += 60_000
    await it.changes.runOnce()
    expect(await left()).toBe(expected)
  }
})
