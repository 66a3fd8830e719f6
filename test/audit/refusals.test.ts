import { beforeEach, expect, test } from 'vitest'
import type { AuditEntry } from '../../src/audit/audit-entry.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { auditEntry } from '../../src/audit/record-audit.ts'
import { Refusals } from '../../src/audit/refusals.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase({ entities: [AuditEvent] })

/** A minute passes by setting it: only when refusals are due depends on this clock. */
let now = 0
let lines: { msg: string; count?: number; lost?: number }[] = []
const log = createLog('warn', { write: (line) => void lines.push(JSON.parse(line)) })
const clock = { ...database.clock, now: () => now }
const refusals = (maxSubjects?: number, transaction = database.transaction): Refusals =>
  new Refusals({ database: { transaction, clock }, log, ...(maxSubjects ? { maxSubjects } : {}) })

let seen = new Set<string>()
beforeEach(async () => {
  now = 1_000_000
  lines = []
  seen = new Set((await all()).map((event) => event.id))
})
const all = (): Promise<AuditEvent[]> => database.fork().find(AuditEvent, {}, { orderBy: { id: 'asc' } })
const written = async (): Promise<AuditEvent[]> => (await all()).filter((event) => !seen.has(event.id))

function refusal(ip: string, type = 'signIn.refused'): AuditEntry {
  return auditEntry(
    { origin: { ip, userAgent: 'x' }, services: { database: { clock }, auditKeys } },
    { type, success: false, errorCode: 'UNAUTHENTICATED' },
  )
}

test('the first refusal of a minute is written before the answer, the others as one row with their number (A7)', async () => {
  const counted = refusals()
  await counted.record('192.0.2.1', refusal('192.0.2.1'))
  expect(await written()).toMatchObject([
    { type: 'signIn.refused', ip: '192.0.2.1', errorCode: 'UNAUTHENTICATED', metadata: null },
  ])

  for (let i = 0; i < 500; i++) await counted.record('192.0.2.1', refusal('192.0.2.1'))
  now += 59_999
  await counted.runOnce()
  expect(await written()).toHaveLength(1)

  now += 1
  await counted.runOnce()
  await counted.runOnce()
  const [first, rest, ...more] = await written()
  expect(more).toEqual([])
  expect(rest).toMatchObject({ type: 'signIn.refused', success: false, ip: '192.0.2.1', errorCode: 'UNAUTHENTICATED' })
  expect(rest?.metadata).toEqual({ count: 500, since: first?.at.toISOString() })
})

test('subjects and types are counted apart', async () => {
  const counted = refusals()
  for (const ip of ['192.0.2.1', '192.0.2.2']) {
    for (const type of ['signIn.refused', 'flow.refused']) await counted.record(ip, refusal(ip, type))
  }
  expect(await written()).toHaveLength(4)
})

test('a refusal in the next minute begins a new count and ends the old one', async () => {
  const counted = refusals()
  for (let i = 0; i < 3; i++) await counted.record('192.0.2.1', refusal('192.0.2.1'))
  now += 60_000
  await counted.record('192.0.2.1', refusal('192.0.2.1'))
  expect((await written()).map((event) => event.metadata?.['count'] ?? 1)).toEqual(expect.arrayContaining([1, 2, 1]))
})

test('nobody is answered before the first refusal of the minute is there, whoever else was refused at the same time (A7)', async () => {
  const counted = refusals()
  void counted.record('192.0.2.1', refusal('192.0.2.1'))
  await counted.record('192.0.2.1', refusal('192.0.2.1'))
  expect(await written()).toHaveLength(1)
})

test('simultaneous first refusals are one first refusal', async () => {
  const counted = refusals()
  await Promise.all(Array.from({ length: 50 }, () => counted.record('192.0.2.1', refusal('192.0.2.1'))))
  expect(await written()).toHaveLength(1)
  await counted.stop()
  expect((await written())[1]?.metadata).toMatchObject({ count: 49 })
})

test('inventing subjects adds neither memory nor rows beyond the limit, and loses no count (A2)', async () => {
  const counted = refusals(3)
  for (let i = 0; i < 100; i++) await counted.record(`198.51.100.${i}`, refusal(`198.51.100.${i}`))
  expect(await written()).toHaveLength(4)
  await counted.stop()
  const rows = await written()
  expect(rows).toHaveLength(5)
  expect(rows[4]).toMatchObject({ actorKind: 'ANONYMOUS', ip: null, metadata: { count: 96 } })
})

test('what the database could not take is written when it answers again, and refusing goes on meanwhile', async () => {
  let down = true
  const counted = refusals(2, (work) => (down ? Promise.reject(new Error('down')) : database.transaction(work)))
  await counted.record('192.0.2.1', refusal('192.0.2.1'))
  await counted.record('192.0.2.1', refusal('192.0.2.1'))
  await counted.record('192.0.2.2', refusal('192.0.2.2'))
  expect(lines.map((line) => line.msg)).toEqual(['refusals could not be audited', 'refusals could not be audited'])
  expect(await written()).toEqual([])
  down = false
  await counted.runOnce()
  expect((await written()).map((event) => event.ip)).toEqual(['192.0.2.1', '192.0.2.2'])
})

test('each row is logged too, without address or contents (A7, C6)', async () => {
  const counted = refusals()
  await counted.record('192.0.2.1', { ...refusal('192.0.2.1'), actorKind: 'USER', actorId: newUuid() })
  await counted.record('192.0.2.1', refusal('192.0.2.1'))
  await counted.stop()
  expect(lines).toMatchObject([
    { msg: 'refused', type: 'signIn.refused', code: 'UNAUTHENTICATED', count: 1 },
    { msg: 'refused', count: 1 },
  ])
  expect(JSON.stringify(lines)).not.toContain('192.0.2')
})
