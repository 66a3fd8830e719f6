import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeEach, expect, inject, test } from 'vitest'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import { auditEntry, recordAudit } from '../../src/audit/record-audit.ts'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import type { SealedHead } from '../../src/audit/sealed-head.ts'
import { createSealer } from '../../src/audit/sealer.ts'
import type { Sealer } from '../../src/audit/sealer.ts'
import { verifyAudit } from '../../src/audit/verify-audit.ts'
import type { AuditVerification } from '../../src/audit/verify-audit.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { testDatabase } from '../harness/test-database.ts'
import { onDatabase } from '../harness/urls.ts'
import { settled } from './settled.ts'

const { database, name } = await testDatabase()
const log = createLog('silent')
/** Whoever has taken over the whole database, but not the server's key. */
const intruder = new Client({ connectionString: onDatabase(inject('cluster').superuser, name) })
await intruder.connect()
const directory = await mkdtemp(join(tmpdir(), 'sluice-audit-'))
afterAll(() => intruder.end())
afterAll(() => rm(directory, { recursive: true }))

let head: SealedHead
const sealer = (): Sealer => createSealer({ database, keys: auditKeys, head, log })
/** Seals so many rows, as one; no sooner than transactions of other tests on the same server let them be settled. */
async function seal(rows: number): Promise<void> {
  await settled(database)
  expect(await sealer().runOnce()).toBe(rows)
}
const verify = (limit = 1000, after = 0): Promise<AuditVerification> =>
  verifyAudit({ database, keys: auditKeys, head, limit, after: { position: after } })

/** As the intruder, past every trigger. */
const tamper = async (text: string, params: unknown[] = []): Promise<void> => {
  await intruder.query(`set session_replication_role = replica`)
  const { rowCount } = await intruder.query(text, params)
  expect(rowCount, 'something was tampered with').not.toBe(0)
  await intruder.query(`set session_replication_role = default`)
}

/** Rows in a transaction each; their ids. */
async function write(count: number): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index++) {
    const entry = auditEntry(
      { origin: { ip: '192.0.2.1', userAgent: 'curl' }, services: { database, auditKeys } },
      {
        type: 'flow.created',
        flowId: newUuid(),
        executionId: newUuid(),
        durationMs: 0.5,
        tokens: 3,
        errorCode: 'X',
        metadata: { index, more: { b: 1, a: [2] } },
      },
      { kind: 'USER', id: newUuid() },
    )
    await database.transaction((em) => recordAudit(em, entry))
    ids.push(entry.id)
  }
  return ids
}

/** Three seals over 2, 3 and 2 rows. */
let ids: string[]
beforeEach(async () => {
  await intruder.query('set session_replication_role = replica')
  await intruder.query('truncate sluice.audit_events, sluice.audit_seals')
  await intruder.query('set session_replication_role = default')
  head = createSealedHead(auditKeys, join(directory, newUuid()))
  ids = []
  for (const rows of [2, 3, 2]) {
    ids.push(...(await write(rows)))
    await seal(rows)
  }
})

test('what nobody touched is intact, page by page and as a whole (C7)', async () => {
  expect(await verify()).toMatchObject({ intact: true, complete: true, checked: 7, position: 3, unsealedForMs: 0 })
  const first = await verify(2)
  expect(first).toMatchObject({ intact: true, complete: false, checked: 2, position: 1 })
  const second = await verify(3, first.position)
  expect(second).toMatchObject({ intact: true, complete: false, checked: 3, position: 2 })
  expect(await verify(1000, second.position)).toMatchObject({ intact: true, complete: true, checked: 2, position: 3 })
})

test('rows that are not sealed yet are looked at too, and their age is told', async () => {
  const [unsealed] = await write(1)
  const found = await verify()
  expect(found).toMatchObject({ intact: true, complete: true, checked: 8, position: 3 })
  expect(found.unsealedForMs).toBeGreaterThan(0)
  await tamper(`update sluice.audit_events set success = false where id = $1`, [unsealed])
  expect(await verify()).toMatchObject({ intact: false, broken: { id: unsealed } })
})

const COLUMNS: readonly [column: string, value: string][] = [
  ['at', `at + interval '1 millisecond'`],
  ['type', `'flow.deleted'`],
  ['severity', `'CRITICAL'`],
  ['actor_kind', `'SYSTEM'`],
  ['actor_id', 'gen_random_uuid()'],
  ['flow_id', 'null'],
  ['execution_id', 'gen_random_uuid()'],
  ['success', 'not success'],
  ['duration_ms', '0.25'],
  ['tokens', '4'],
  ['error_code', `'Y'`],
  ['metadata', `jsonb_set(metadata, '{more,a}', '[3]')`],
  ['ip', `'192.0.2.2'`],
  ['user_agent', `''`],
  ['mac', `set_byte(mac, 20, get_byte(mac, 20) # 1)`],
  ['mac', 'null'],
]
test.each(COLUMNS)('an edit of %s to %s is found, and where', async (column, value) => {
  await tamper(`update sluice.audit_events set ${column} = ${value} where id = $1`, [ids[3]])
  expect(await verify()).toMatchObject({ intact: false, checked: 2, broken: { id: ids[3] } })
})

test.each([0, 3, 6])('a deleted row is found, and which it was: %i', async (index) => {
  await tamper('delete from sluice.audit_events where id = $1', [ids[index]])
  expect(await verify()).toMatchObject({ intact: false, broken: { id: ids[index], why: 'is missing or was moved' } })
})

test('rows that are deleted together with their seals are found: the first, one in between, the last, all', async () => {
  for (const [position, id] of [
    [1, ids[2]],
    [2, ids[5]],
  ] as const) {
    await intruder.query('begin')
    await tamper(
      'delete from sluice.audit_events where id = any (select unnest(s.ids) from sluice.audit_seals s where position = $1)',
      [position],
    )
    await tamper('delete from sluice.audit_seals where position = $1', [position])
    // one connection sees what is not committed: the same walk over the intruder's view
    const view = {
      query: async <Row>(text: string, params?: readonly unknown[]) =>
        (await intruder.query(text, params as unknown[])).rows.map(numbered) as Row[],
      clock: database.clock,
    }
    expect(await verifyAudit({ database: view, keys: auditKeys, head, limit: 1000 })).toMatchObject({
      intact: false,
      broken: { id },
    })
    await intruder.query('rollback')
  }
  await tamper('delete from sluice.audit_events where id = any ($1)', [[ids[5], ids[6]]])
  await tamper('delete from sluice.audit_seals where position = 3')
  expect(await verify()).toMatchObject({
    intact: false,
    broken: { id: null, why: 'the end of the log is missing: it reached seal 3' },
  })
  await tamper('delete from sluice.audit_events')
  await tamper('delete from sluice.audit_seals')
  expect(await verify()).toMatchObject({ intact: false, broken: { why: 'the end of the log is missing: it reached seal 3' } })
})
/** as `Database.query` gives it */
const numbered = (row: Record<string, unknown>): unknown =>
  typeof row.position === 'string' ? { ...row, position: Number(row.position) } : row

test('a cut end stays known when the log grows past it', async () => {
  await tamper('delete from sluice.audit_events where id = any ($1)', [[ids[5], ids[6]]])
  await tamper('delete from sluice.audit_seals where position = 3')
  for (let more = 0; more < 3; more++) {
    await write(1)
    await seal(1)
    expect(await verify()).toMatchObject({ intact: false, broken: { why: 'seal 3 is not the one that was made' } })
  }
})

test('the remembered end cannot be forged without the key', async () => {
  const path = join(directory, newUuid())
  head = createSealedHead(auditKeys, path)
  await write(1)
  await seal(1)
  const kept = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
  await writeFile(path, JSON.stringify({ ...kept, position: 1 }))
  head = createSealedHead(auditKeys, path)
  expect(await verify()).toMatchObject({ intact: false, broken: { why: expect.stringContaining('cannot be trusted') } })
})

test('two rows that changed places are found', async () => {
  await tamper(
    `update sluice.audit_events e set xid = o.xid from sluice.audit_events o where e.id = any ($1) and o.id = any ($1) and o.id <> e.id`,
    [[ids[2], ids[3]]],
  )
  expect(await verify()).toMatchObject({ intact: false, broken: { id: ids[2] } })
})

test.each([
  ['as another row once more', `select gen_random_uuid(), xid, at, type, severity, actor_kind, success, mac`],
  [
    'with a signature of nobody',
    `select gen_random_uuid(), xid, at, type, severity, actor_kind, success, decode(repeat('00', 36), 'hex')`,
  ],
])('a row that is inserted among sealed ones is found: %s', async (_, select) => {
  await tamper(
    `insert into sluice.audit_events (id, xid, at, type, severity, actor_kind, success, mac) ${select} from sluice.audit_events where id = $1`,
    [ids[3]],
  )
  const found = await verify()
  expect(found).toMatchObject({ intact: false })
  expect(ids).not.toContain(found.broken!.id)
})

test('a chain that is computed anew without the key does not fit', async () => {
  const forged = createAuditKeys('what the intruder thinks up')
  await tamper('truncate sluice.audit_seals')
  const own = createSealer({ database, keys: forged, head: createSealedHead(forged), log })
  await settled(database)
  expect(await own.runOnce()).toBe(7)
  expect(
    await verifyAudit({ database, keys: forged, head: createSealedHead(forged), limit: 1000 }),
    'even for itself',
  ).toMatchObject({ intact: false })
  expect(await verify()).toMatchObject({ intact: false, broken: { why: 'seal 1 was signed by a key that is not configured' } })
})

test.each([
  ['hash', 'set_byte(hash, 30, get_byte(hash, 30) # 1)'],
  ['ids', 'ids[1:2]'],
  ['ids', 'array[ids[1], ids[3], ids[2]]'],
  ['last_xid', `(last_xid::text::bigint + 1)::text::xid8`],
  ['position', '20'],
  ['sealed_at', `sealed_at + interval '1 millisecond'`],
])('an edit of a seal is found: %s', async (column, value) => {
  await tamper(`update sluice.audit_seals set ${column} = ${value} where position = 2`)
  expect((await verify()).intact).toBe(false)
})

test('keys can be changed: what older ones signed still verifies, and without them the log says which key it lacks', async () => {
  const rotated = createAuditKeys('the next key', ['the audit key of tests, which protects nothing'])
  const entry = auditEntry({ origin: {}, services: { database, auditKeys: rotated } }, { type: 'flow.created' })
  await database.transaction((em) => recordAudit(em, entry))
  await settled(database)
  expect(await createSealer({ database, keys: rotated, head: createSealedHead(rotated), log }).runOnce()).toBe(1)
  const options = { database, head: createSealedHead(rotated), limit: 1000 }
  expect(await verifyAudit({ ...options, keys: rotated })).toMatchObject({ intact: true, checked: 8 })
  expect(await verifyAudit({ ...options, keys: createAuditKeys('the next key') })).toMatchObject({
    intact: false,
    broken: { id: ids[0], why: 'was signed by a key that is not configured' },
  })
})

test('two sealers make one chain, also of rows whose transactions end in another order than they began', async () => {
  const began = Promise.withResolvers<void>()
  const mayEnd = Promise.withResolvers<void>()
  const asker = { origin: {}, services: { database, auditKeys } }
  const slow = database.transaction(async (em) => {
    await recordAudit(em, auditEntry(asker, { type: 'flow.slow' }))
    began.resolve()
    await mayEnd.promise
  })
  await began.promise
  await write(3)
  expect(await sealer().runOnce(), 'nothing may be sealed that the slow one could come before').toBe(0)
  mayEnd.resolve()
  await slow
  await settled(database)
  const both = await Promise.all([sealer().runOnce(), sealer().runOnce()])
  expect(both[0] + both[1]).toBe(4)
  expect(await verify()).toMatchObject({ intact: true, complete: true, checked: 11 })
})

test('the application can add seals, and change none', async () => {
  await expect(database.query('update sluice.audit_seals set position = 9')).rejects.toMatchObject({ code: '42501' })
  await expect(database.query('delete from sluice.audit_seals')).rejects.toMatchObject({ code: '42501' })
})

test.each([
  ['a session that holds its lock', 'select pg_advisory_lock(7312021)', 'select pg_advisory_unlock(7312021)', 'lock'],
  ['a transaction that stays open', 'begin; select pg_current_xact_id()', 'rollback', 'transaction'],
])('sealing cannot be stopped in silence by %s', async (_who, stop, over, why) => {
  const lines: Record<string, unknown>[] = []
  const told = createLog('info', { write: (line: string) => void lines.push(JSON.parse(line)) })
  let now = 0
  const own = createSealer({ database, keys: auditKeys, head, log: told, monotonic: () => now })
  await intruder.query(stop)
  try {
    await write(1)
    expect(await own.runOnce()).toBe(0)
    now = 29_000
    await own.runOnce()
    expect(lines).toEqual([])
    expect(own.unsealedMs).toBe(29_000)
    for (now = 31_000; now < 60_000; now += 500) await own.runOnce()
    expect(lines).toMatchObject([{ level: 50, msg: expect.stringContaining('not sealed') }])
    expect(JSON.stringify(lines)).toContain(why)
  } finally {
    await intruder.query(over)
  }
  await settled(database)
  expect(await own.runOnce()).toBe(1)
  await own.runOnce()
  expect(own.unsealedMs).toBe(0)
  expect(lines.at(-1)).toMatchObject({ msg: 'the audit log is sealed again' })
})
