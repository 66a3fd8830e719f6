/** One run over everything that goes by its age, what it tells, and what is configured. */
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import { loadConfig } from '../../src/config/config.ts'
import { migrateDatabase } from '../../src/database/migrate.ts'
import { measureRetention } from '../../src/engine/metrics.ts'
import { createRetention, storeAges } from '../../src/engine/retention.ts'
import { createLog } from '../../src/log.ts'
import { plan } from '../../migrations/list.ts'
import { age, superuserOf } from '../harness/age.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, name, ownerConnection, ownerQuery } = await testDatabase()
const lines: string[] = []
const log = createLog('info', { write: (line) => void lines.push(line) })
const retention = createRetention({ database, auditKeys, auditHead: createSealedHead(auditKeys), log })

test('a run removes what is old, and tells in numbers what, and how old the oldest is (A9, A11, B10)', async () => {
  const registry = new Registry()
  measureRetention(retention, registry)
  const engine = await testEngine(database)
  const flow = await storeFlow(database, { name: 'short', steps: { a: { type: 'transform', set: {} } } })
  const ids = [await startFlow(engine, flow), await startFlow(engine, flow), await startFlow(engine, flow)]
  const superuser = await superuserOf(name)
  await age(superuser, [ids[0]!], 100)
  await age(superuser, [ids[1]!], 40)
  const run = await retention.runOnce()
  expect(run.removed).toEqual({ executionPayloads: 2, executions: 1, idempotencyKeys: 0, auditEvents: 0 })
  expect(run.partitions.toSorted()).toEqual([
    expect.stringMatching(/^events_\d{8}$/),
    expect.stringMatching(/^step_runs_\d{8}$/),
    expect.stringMatching(/^step_runs_\d{8}$/),
  ])
  expect(run.oldest.executions! / 86_400_000).toBeCloseTo(40, 1)
  expect(run.oldest.executionPayloads! / 86_400_000).toBeCloseTo(0, 1)
  const metrics = await registry.metrics()
  expect(metrics).toContain('sluice_retention_removed_total{what="executionPayloads"} 2')
  expect(metrics).toMatch(/sluice_retention_oldest_seconds\{what="executions"\} 34\d{5}\b/)
  expect(lines.join()).toMatch(/"executionPayloads":2,"executions":1.*removed what is old/)
  expect((await retention.runOnce()).removed).toEqual({ executionPayloads: 0, executions: 0, idempotencyKeys: 0, auditEvents: 0 })
})

test('it runs by itself when it is started, and ends when it is stopped', async () => {
  const ran = Promise.withResolvers<void>()
  const own = createRetention({ database, auditKeys, auditHead: createSealedHead(auditKeys), log })
  own.onRun = () => ran.resolve()
  own.start()
  await ran.promise
  await own.stop()
})

test('what is configured is what the owner stores, at each start (B10)', async () => {
  const stored = async (): Promise<object> =>
    (await database.query<object>('select payload_days, event_days, audit_days, key_hours from sluice.retention'))[0]!
  expect(await stored()).toEqual({ payload_days: 30, event_days: 90, audit_days: 365, key_hours: 24 })
  const env = { SLUICE_RETAIN_PAYLOADS_DAYS: '7', SLUICE_RETAIN_AUDIT_DAYS: '3650' }
  const { retention: ages } = loadConfig(env, { mode: 'migrate' })
  await migrateDatabase({
    ...{ connection: ownerConnection, appRole: 'sluice_app', ...plan, release: 'test', log: createLog('silent') },
    settle: [storeAges(ages)],
  })
  expect(await stored()).toEqual({ payload_days: 7, event_days: 90, audit_days: 3650, key_hours: 24 })
  await ownerQuery('update sluice.retention set payload_days = 30, audit_days = 365')
})

test('what cannot be kept so is a mistake of the configuration', () => {
  const mistakes = (env: Record<string, string>): string => {
    try {
      return JSON.stringify(loadConfig(env, { mode: 'migrate' }))
    } catch (error) {
      return (error as Error).message
    }
  }
  expect(mistakes({ SLUICE_RETAIN_PAYLOADS_DAYS: '91' })).toContain(
    'SLUICE_RETAIN_EVENTS_DAYS must be at least SLUICE_RETAIN_PAYLOADS_DAYS',
  )
  expect(mistakes({ SLUICE_RETAIN_AUDIT_DAYS: '29' })).toContain('SLUICE_RETAIN_AUDIT_DAYS must be a whole number from 30')
  expect(mistakes({ SLUICE_RETAIN_KEYS_HOURS: '1' })).toContain('SLUICE_RETAIN_KEYS_HOURS must be a whole number from 24')
})
