/** Uses of keys in the audit log: one row for each key and minute, whatever happens to the database and to the process. */
import { beforeEach, expect, test } from 'vitest'
import { createAuditWriter } from '../../src/audit/audit-writer.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { KeyUses, MAX_ADDRESSES } from '../../src/audit/key-uses.ts'
import type { KeyUsesOptions } from '../../src/audit/key-uses.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { signAudit } from '../harness/audit-keys.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase({ entities: [AuditEvent] })

/** Minutes pass by setting it. */
let now = 0
let key: { kind: 'API_KEY'; id: string }
beforeEach(() => {
  now = 1_000 * 60_000
  key = { kind: 'API_KEY', id: newUuid() }
})

const open = (more: Partial<KeyUsesOptions> = {}): KeyUses =>
  new KeyUses({
    write: createAuditWriter(database),
    sign: signAudit,
    clock: { now: () => now },
    log: createLog('silent'),
    ...more,
  })
const rowsOf = (actorId = key.id): Promise<AuditEvent[]> =>
  database.fork().find(AuditEvent, { actorId }, { orderBy: { id: 'asc' } })

test('a minute of uses is one row with how often and from how many addresses (B14)', async () => {
  const uses = open()
  for (let at = 0; at < 500; at++) uses.note(key, `192.0.2.${at % 3}`)
  now += 59_999
  await uses.runOnce()
  expect(await rowsOf()).toEqual([])
  now += 1
  await uses.runOnce()
  await uses.runOnce()
  const since = new Date(1_000 * 60_000).toISOString()
  expect(await rowsOf()).toMatchObject([
    { type: 'key.used', actorKind: 'API_KEY', success: true, ip: null, metadata: { count: 500, addresses: 3, since } },
  ])
})

test('one address alone is named; agents and links are told apart, people are not counted', async () => {
  const uses = open()
  const [agent, link, person] = [newUuid(), newUuid(), newUuid()]
  uses.note(key, '192.0.2.1')
  uses.note({ kind: 'AGENT', id: agent }, '192.0.2.2')
  uses.note({ kind: 'LINK', id: link }, '192.0.2.3')
  uses.note({ kind: 'USER', id: person }, '192.0.2.4')
  await uses.stop()
  expect(await rowsOf()).toMatchObject([{ ip: '192.0.2.1', metadata: { count: 1, addresses: 1 } }])
  expect(await rowsOf(agent)).toMatchObject([{ type: 'key.used', actorKind: 'AGENT', ip: '192.0.2.2' }])
  expect(await rowsOf(link)).toMatchObject([{ type: 'link.used', actorKind: 'LINK', ip: '192.0.2.3' }])
  expect(await rowsOf(person)).toEqual([])
})

test('a use in the next minute ends the one before by itself, and a stop writes what is counted', async () => {
  const uses = open()
  uses.note(key, '192.0.2.1')
  now += 60_000
  uses.note(key, '192.0.2.1')
  uses.note(key, '192.0.2.1')
  await uses.stop()
  expect((await rowsOf()).map(({ metadata }) => metadata?.['count']).toSorted()).toEqual([1, 2])
})

test('what the database did not take is counted on, and nothing is counted twice', async () => {
  const write = createAuditWriter(database)
  let away = true
  const uses = open({ write: (entry) => (away ? Promise.reject(new Error('away')) : write(entry)) })
  uses.note(key, '192.0.2.1')
  now += 60_000
  await uses.runOnce()
  uses.note(key, '192.0.2.2')
  await uses.runOnce()
  away = false
  now += 60_000
  await uses.runOnce()
  await uses.runOnce()
  const rows = await rowsOf()
  expect(rows.reduce((sum, { metadata }) => sum + Number(metadata?.['count']), 0)).toBe(2)
  await uses.stop()
  expect(await rowsOf()).toHaveLength(rows.length)
})

test('two processes write a row each, and the rows add up', async () => {
  const processes = [open(), open()]
  for (const [at, uses] of processes.entries()) for (let i = 0; i <= at; i++) uses.note(key, '192.0.2.1')
  await Promise.all(processes.map((uses) => uses.stop()))
  const rows = await rowsOf()
  expect(rows).toHaveLength(2)
  expect(rows.reduce((sum, { metadata }) => sum + Number(metadata?.['count']), 0)).toBe(3)
})

test('no number of keys or addresses makes it grow: the first key of a full minute is written sooner', async () => {
  const uses = open({ maxKeys: 10 })
  for (let at = 0; at < 1_000; at++) uses.note(key, `192.0.2.${at}`)
  for (let at = 0; at < 10; at++) uses.note({ kind: 'API_KEY', id: newUuid() }, '192.0.2.1')
  await uses.runOnce()
  expect(await rowsOf()).toMatchObject([{ metadata: { count: 1_000, addresses: MAX_ADDRESSES } }])
  await uses.stop()
})
