/** From counts to security events: at their thresholds, once for all processes, bounded whatever is invented. */
import { beforeEach, expect, test } from 'vitest'
import type { AuditEntry } from '../../src/audit/audit-entry.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { SecurityEvent } from '../../src/audit/entities/security-event.ts'
import { auditEntry } from '../../src/audit/record-audit.ts'
import type { RaisedEvent } from '../../src/audit/raise-security-events.ts'
import { BEGINNING, readRowsBehind } from '../../src/audit/read-chain.ts'
import { checkRow } from '../../src/audit/seal.ts'
import { createSecurityWatch } from '../../src/audit/security-watch.ts'
import type { SecurityWatchOptions } from '../../src/audit/security-watch.ts'
import type { Subject } from '../../src/audit/security-kinds.ts'
import { encodeId, newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { NO_SECURITY_EVENTS } from '../harness/security-limits.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase({ entities: [AuditEvent, SecurityEvent] })
const WINDOW_MS = 600_000
let now = 0
let lines: { msg: string }[] = []
const clock = { ...database.clock, now: () => now }
const log = createLog('warn', { write: (line: string) => lines.push(JSON.parse(line) as { msg: string }) })

beforeEach(async () => {
  await ownerQuery('delete from sluice.security_events')
  await ownerQuery('delete from sluice.security_counts')
  now = Math.ceil(Date.now() / WINDOW_MS) * WINDOW_MS
  lines = []
})

function watch(more: Partial<SecurityWatchOptions['limits']> = {}, options: Partial<SecurityWatchOptions> = {}) {
  const limits = { ...NO_SECURITY_EVENTS, windowMs: WINDOW_MS, refusals: 5, signInFailures: 5, ...more }
  const addressOf = (ip: string | undefined) => ip ?? 'unknown'
  return createSecurityWatch({ database: { ...database, clock }, keys: auditKeys, limits, log, addressOf, ...options })
}

const user = (): Subject => ({ kind: 'USER', id: newUuid() })
const stored = () => database.fork().find(SecurityEvent, {}, { orderBy: { id: 'asc' } })

function refusal(ip: string, facts: Partial<AuditEntry> = {}): AuditEntry {
  const asker = { origin: { ip }, services: { database: { clock }, auditKeys } }
  return { ...auditEntry(asker, { type: 'signIn.refused', success: false, errorCode: 'UNAUTHENTICATED' }), ...facts }
}

test('a threshold that is reached raises one event a window, and what follows adds to its count (C8, B14)', async () => {
  const somebody = user()
  const one = watch()
  one.count('REFUSALS', [somebody], 4)
  await one.runOnce()
  expect(await stored()).toEqual([])

  one.count('REFUSALS', [somebody])
  await one.runOnce()
  const [event, ...others] = await stored()
  expect(others).toEqual([])
  expect(event).toMatchObject({ kind: 'REFUSALS', severity: 'WARNING', subjectKind: 'USER', subject: somebody.id, count: 5 })

  now += 1_000
  one.count('REFUSALS', [somebody], 10)
  await one.runOnce()
  expect(await stored()).toMatchObject([{ id: event!.id, count: 15, lastAt: new Date(now) }])

  now += WINDOW_MS
  one.count('REFUSALS', [somebody], 5)
  await one.runOnce()
  expect(await stored()).toMatchObject([{ count: 15 }, { count: 5 }])
})

test('each event is an audit event too, signed as every row, and a line in the log without an address (C7, C8, C6)', async () => {
  const raised: RaisedEvent[] = []
  const one = watch({}, { onRaised: (event) => raised.push(event) })
  for (let time = 0; time < 5; time++) one.refused(refusal('192.0.2.7'))
  await one.runOnce()
  const [event] = await stored()
  const row = await database.fork().findOneOrFail(AuditEvent, { id: event!.id })
  expect(row).toMatchObject({ type: 'security.signInFailures', severity: 'WARNING', actorKind: 'SYSTEM', ip: '192.0.2.7' })
  expect(row.metadata).toMatchObject({ kind: 'SIGN_IN_FAILURES', count: 5, firstAt: new Date(now).toISOString() })
  const written = (await readRowsBehind(database, BEGINNING, 10_000, false)).find(({ id }) => id === row.id)
  expect(checkRow(auditKeys, written!)).toBeUndefined()
  expect(lines).toMatchObject([{ msg: 'security event', type: 'security.signInFailures', severity: 'WARNING', count: 5 }])
  expect(JSON.stringify(lines)).not.toContain('192.0.2')
  expect(raised.map(({ id }) => id)).toEqual([event!.id])
})

test('processes on one database cross a threshold together and raise one event, however they race (C8)', async () => {
  const somebody = user()
  const processes = Array.from({ length: 5 }, () => watch({ refusals: 20 }))
  for (const one of processes) one.count('REFUSALS', [somebody], 4)
  await Promise.all(processes.map((one) => one.runOnce()))
  expect(await stored()).toMatchObject([{ count: 20 }])

  for (const one of processes) one.count('REFUSALS', [somebody], 40)
  await Promise.all(processes.map((one) => one.runOnce()))
  expect(await stored()).toMatchObject([{ count: 220 }])
  const rows = await database
    .fork()
    .find(AuditEvent, { type: 'security.refusals', id: { $in: (await stored()).map(({ id }) => id) } })
  expect(rows).toHaveLength(1)
})

test('an account that is tried from many addresses, and many accounts tried from many, are seen though no address stands out', async () => {
  const victim = newUuid()
  const one = watch({ signInFailures: 5 })
  const metadata = { userId: encodeId('user', victim) }
  for (let address = 0; address < 50; address++) {
    one.refused(refusal(`198.51.100.${address}`, address < 6 ? { metadata } : {}))
  }
  await one.runOnce()
  expect(await stored()).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ subjectKind: 'USER', subject: victim, count: 6 }),
      expect.objectContaining({ subjectKind: 'EVERYBODY', subject: '', count: 50 }),
    ]),
  )
})

test('a million invented addresses use no more memory and no more rows than a few, and hide nobody (A2, C8)', async () => {
  const one = watch({ signInFailures: 20 }, { maxSubjects: 1_000 })
  const [invented, real] = [refusal('2001:db8::'), refusal('192.0.2.1')]
  for (let address = 0; address < 1_000_000; address++) {
    one.refused({ ...invented, ip: `2001:db8:${address >> 16}:${address & 0xffff}::` })
    if (address % 50_000 === 0) one.refused(real)
  }
  expect(one.size).toBeLessThanOrEqual(1_002)
  for (let time = 0; time < 20; time++) one.refused(real)
  await one.runOnce()
  const events = await stored()
  expect(events).toEqual([
    expect.objectContaining({ subjectKind: 'ADDRESS', subject: '192.0.2.1' }),
    expect.objectContaining({ subjectKind: 'EVERYBODY' }),
  ])
  const [{ rows } = { rows: 0 }] = await ownerQuery<{ rows: number }>('select count(*)::int as rows from sluice.security_counts')
  expect(rows).toBeLessThan(10)
}, 60_000)

test('events themselves are bounded: past a hundred of a kind in a window, the rest are one', async () => {
  const one = watch()
  for (let subject = 0; subject < 130; subject++) one.count('REFUSALS', [user()], 5)
  await one.runOnce()
  for (let subject = 0; subject < 40; subject++) one.count('REFUSALS', [user()], 5)
  await one.runOnce()
  const events = await stored()
  expect(events).toHaveLength(101)
  expect(events.filter(({ subjectKind }) => subjectKind === 'EVERYBODY')).toHaveLength(1)
})

test('what is unusual is compared with the busiest window of the day before', async () => {
  const [steady, woken] = [user(), user()]
  const one = watch({ unusualRequests: 100, unusualFactor: 5 })
  one.count('UNUSUAL_REQUESTS', [steady], 90)
  one.count('UNUSUAL_REQUESTS', [woken], 30)
  await one.runOnce()
  now += 3 * WINDOW_MS
  one.count('UNUSUAL_REQUESTS', [steady], 200)
  one.count('UNUSUAL_REQUESTS', [woken], 200)
  await one.runOnce()
  expect(await stored()).toMatchObject([{ kind: 'UNUSUAL_REQUESTS', subject: woken.id, count: 200 }])
})

test('what could not be written is written when the database answers again', async () => {
  let down = true
  const transaction: typeof database.transaction = (work) =>
    down ? Promise.reject(new Error('down')) : database.transaction(work)
  const one = watch({}, { database: { ...database, clock, transaction } })
  one.count('REFUSALS', [user()], 3)
  await expect(one.runOnce()).rejects.toThrow('down')
  one.count('REFUSALS', [user()], 7)
  down = false
  await one.runOnce()
  expect(await stored()).toMatchObject([{ count: 7 }])
  const counts = await ownerQuery<{ count: number }>(
    `select count::int from sluice.security_counts where subject_kind = 'USER' order by count`,
  )
  expect(counts).toMatchObject([{ count: 3 }, { count: 7 }])
})

test('counts are forgotten when nothing is compared with them any more', async () => {
  const somebody = user()
  const one = watch({ unusualRequests: 10 })
  now -= 3 * WINDOW_MS
  one.count('REFUSALS', [somebody], 4)
  one.count('UNUSUAL_REQUESTS', [somebody], 5)
  await one.runOnce()
  now += 60_000
  await one.runOnce()
  expect(await ownerQuery('select kind from sluice.security_counts')).toEqual([{ kind: 'UNUSUAL_REQUESTS' }])
})

test('events are kept as long as the audit log', async () => {
  const one = watch()
  one.count('REFUSALS', [user()], 5)
  await one.runOnce()
  one.count('REFUSALS', [user()], 5)
  now += 60_000
  await one.runOnce()
  const [old, young] = await stored()
  await ownerQuery(
    `update sluice.security_events set window_at = now() - interval '367 days', last_at = now() - interval '366 days' where id = $1`,
    [old!.id],
  )
  now += 60_000
  await one.runOnce()
  expect((await stored()).map(({ id }) => id)).toEqual([young!.id])
})
