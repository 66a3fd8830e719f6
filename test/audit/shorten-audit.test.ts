/** The oldest part of the audit log goes; what is left still shows every cut that was not retention's. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeEach, expect, inject, test } from 'vitest'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import { makeCheckpoint } from '../../src/audit/checkpoint.ts'
import { checkExport, exportAudit } from '../../src/audit/export-audit.ts'
import type { ExportCheck } from '../../src/audit/export-audit.ts'
import { readCheckpoint, readSeals } from '../../src/audit/read-chain.ts'
import { auditEntry, recordAudit } from '../../src/audit/record-audit.ts'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import type { SealedHead } from '../../src/audit/sealed-head.ts'
import { createSealer } from '../../src/audit/sealer.ts'
import { shortenAudit } from '../../src/audit/shorten-audit.ts'
import { verifyAudit } from '../../src/audit/verify-audit.ts'
import type { AuditVerification, VerifiedPlace } from '../../src/audit/verify-audit.ts'
import type { Database } from '../../src/database/database.ts'
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
await intruder.query('set session_replication_role = replica')
const directory = await mkdtemp(join(tmpdir(), 'sluice-audit-'))
afterAll(() => intruder.end())
afterAll(() => rm(directory, { recursive: true }))

const DAY_MS = 86_400_000
let head: SealedHead
let headPath: string
const shorten = (more: Partial<Parameters<typeof shortenAudit>[0]> = {}): Promise<number> =>
  shortenAudit({ database, keys: auditKeys, head, log, ...more })
const verify = (more: Partial<Parameters<typeof verifyAudit>[0]> = {}): Promise<AuditVerification> =>
  verifyAudit({ database, keys: auditKeys, head, limit: 1000, ...more })
async function lines(more: Partial<Parameters<typeof exportAudit>[0]> = {}): Promise<string[]> {
  const all: string[] = []
  for await (const line of exportAudit({ database, keys: auditKeys, ...more })) all.push(line)
  return all
}
const check = (given: readonly string[]): Promise<ExportCheck> =>
  checkExport(
    auditKeys,
    (async function* () {
      yield* given
    })(),
  )
const exported = async (): Promise<ExportCheck> => check(await lines())

/** As it was on that day: rows and seals are signed, so they cannot be made older afterwards. */
function daysAgo(days: number): Database {
  const clock = { ...database.clock, now: () => Date.now() - days * DAY_MS }
  return { ...database, clock }
}
/** Rows of that day, sealed as one; their ids. */
async function write(count: number, days: number): Promise<string[]> {
  const past = daysAgo(days)
  const entries = Array.from({ length: count }, (_, n) =>
    auditEntry({ origin: {}, services: { database: past, auditKeys } }, { type: 'flow.created', metadata: { n } }),
  )
  await database.transaction((em) => recordAudit(em, ...entries))
  await settled(database)
  await createSealer({ database: past, keys: auditKeys, head, log }).runOnce()
  return entries.map(({ id }) => id)
}
const count = async (): Promise<number> => (await database.query('select id from sluice.audit_events')).length

/** Five seals: 3 of them older than a year, over 2 + 3 + 2 rows; two younger, over 2 + 1. */
let ids: string[]
beforeEach(async () => {
  await intruder.query('truncate sluice.audit_events, sluice.audit_seals, sluice.audit_checkpoints, sluice.security_events')
  headPath = join(directory, newUuid())
  head = createSealedHead(auditKeys, headPath)
  ids = []
  for (const [rows, days] of [
    [2, 400],
    [3, 390],
    [2, 370],
    [2, 360],
    [1, 2],
  ] as const)
    ids.push(...(await write(rows, days)))
})

test('what is older than a year goes, by whole seals; what is left is intact and says where it begins (B10, C7)', async () => {
  expect(await shorten()).toBe(7)
  const found = await verify()
  expect(found).toMatchObject({
    intact: true,
    complete: true,
    position: 5,
    checkpoint: { position: 3, events: 7, lastId: ids[6] },
  })
  expect(await exported()).toMatchObject({ intact: true, position: 5, checked: 3, checkpoint: { position: 3, events: 7 } })
  const left = await database.query<{ id: string }>('select id from sluice.audit_events order by xid, id')
  expect(left.slice(0, 3).map(({ id }) => id)).toEqual(ids.slice(7))
  const told = await database.query<{ metadata: object }>(
    `select metadata from sluice.audit_events where type = 'retention.removed'`,
  )
  expect(told).toEqual([{ metadata: { auditEvents: 7, throughSeal: 3 } }])
  expect(await shorten(), 'nothing is left to do').toBe(0)
  expect((await head.read())?.checkpoint).toBe(3)
})

test('a security event goes with the row that says the same (B10, C8)', async () => {
  for (const id of [ids[6], ids[7]])
    await intruder.query(
      `insert into sluice.security_events (id, kind, severity, subject_kind, subject, window_at, count, first_at, last_at)
       values ($1, 'x', 'NOTICE', 'user', gen_random_uuid()::text, now(), 1, now(), now())`,
      [id],
    )
  await shorten()
  expect(await database.query('select id from sluice.security_events')).toEqual([{ id: ids[7] }])
})

test('the chain goes on behind a checkpoint, and checkpoints follow each other (C7)', async () => {
  expect(await shorten({ rowsAtATime: 2 })).toBe(7)
  expect(await verify()).toMatchObject({ intact: true, checkpoint: { position: 3, events: 7 } })
  await write(2, 1)
  expect(await verify()).toMatchObject({ intact: true, complete: true, position: 6 })
  const first = await verify({ limit: 1 })
  expect(first).toMatchObject({ intact: true, complete: false, position: 4 })
  expect(await verify({ after: { position: first.position } })).toMatchObject({ intact: true, complete: true, position: 6 })
  expect(await verify({ after: { position: 2 } }), 'a page that begins before').toMatchObject({ intact: true, complete: true })
})

test('it goes by days: what has just grown old enough waits for the rest of its day', async () => {
  await intruder.query('truncate sluice.audit_events, sluice.audit_seals')
  head = createSealedHead(auditKeys, join(directory, newUuid()))
  await write(1, 365.5)
  await write(1, 1)
  expect(await shorten()).toBe(0)
})

test('the newest seal stays, however old it is: the chain goes on from it', async () => {
  await intruder.query('delete from sluice.audit_seals where position > 3')
  await intruder.query('delete from sluice.audit_events where id = any ($1)', [ids.slice(7)])
  head = createSealedHead(auditKeys, join(directory, newUuid()))
  expect(await shorten()).toBe(5)
  await write(1, 0)
  expect(await verify()).toMatchObject({ intact: true, complete: true, checkpoint: { position: 2 } })
})

const REMOVE = 'select * from sluice.remove_audit_prefix($1, $2, $3, now(), $4)'
const SIGNATURE = Buffer.alloc(36)

test("the application's role removes nothing that is young, and makes no checkpoint of its own (C7, D1)", async () => {
  const refused = { code: '42501' }
  await expect(database.query(REMOVE, [0, 4, 9, SIGNATURE]), 'a young seal').rejects.toMatchObject(refused)
  await expect(database.query(REMOVE, [0, 5, 10, SIGNATURE]), 'the newest').rejects.toMatchObject(refused)
  await expect(database.query(REMOVE, [0, 99, 10, SIGNATURE]), 'one that is not there').rejects.toMatchObject(refused)
  // a seal that pretends to be old over rows that are young: the application may insert seals
  await database.query(
    `insert into sluice.audit_seals (position, ids, last_xid, hash, sealed_at)
     select 6, ids, last_xid, hash, now() - interval '2 years' from sluice.audit_seals where position = 5
     union all select 7, ids, last_xid, hash, sealed_at from sluice.audit_seals where position = 5`,
  )
  await expect(database.query(REMOVE, [0, 6, 10, SIGNATURE]), 'an old seal over young rows').rejects.toMatchObject(refused)
  for (const text of [
    'delete from sluice.audit_checkpoints',
    `update sluice.audit_checkpoints set events = 1`,
    `insert into sluice.audit_checkpoints select 1, ids[1], last_xid, hash, sealed_at, 1, now(), hash from sluice.audit_seals limit 1`,
    `delete from sluice.audit_events where set_config('sluice.audit_retention', pg_current_xact_id()::text, true) <> ''`,
  ])
    await expect(database.query(text), text).rejects.toMatchObject(refused)
  expect(await count()).toBe(10)
})

test('the owner keeps it longer if told so (B10)', async () => {
  await intruder.query('update sluice.retention set audit_days = 380')
  expect(await shorten()).toBe(5)
  await intruder.query('update sluice.retention set audit_days = 365')
  expect(await verify()).toMatchObject({ intact: true, checkpoint: { position: 2 } })
})

const EDITS: readonly [column: string, value: string][] = [
  ['position', 'position + 1'],
  ['position', 'position - 1'],
  ['last_id', 'gen_random_uuid()'],
  ['last_xid', `(last_xid::text::bigint + 1)::text::xid8`],
  ['hash', 'set_byte(hash, 30, get_byte(hash, 30) # 1)'],
  ['sealed_at', `sealed_at - interval '1 day'`],
  ['events', 'events - 1'],
  ['made_at', `made_at + interval '1 millisecond'`],
  ['signature', 'set_byte(signature, 20, get_byte(signature, 20) # 1)'],
]
test.each(EDITS)('a checkpoint whose %s was set to %s is found, by the query and on an export (C7)', async (column, value) => {
  await shorten()
  await intruder.query(`update sluice.audit_checkpoints set ${column} = ${value}`)
  expect(await verify()).toMatchObject({
    intact: false,
    broken: { why: expect.stringMatching(/^the checkpoint behind seal \d was changed/) },
  })
  expect(await exported()).toMatchObject({ intact: false })
})

test("a cut at the beginning that is not retention's is found: with no checkpoint, with a moved one, with one made without the key (C7)", async () => {
  await shorten()
  const checkpoint = (await readCheckpoint(database))!
  const next = await readSeals(database, 3, 1)
  // more rows go, and their seal
  await intruder.query('delete from sluice.audit_events where id = any ($1)', [ids.slice(7, 9)])
  await intruder.query('delete from sluice.audit_seals where position = 4')
  expect(await verify()).toMatchObject({ intact: false, broken: { why: 'seal 4 is missing' } })
  expect(await exported()).toMatchObject({ intact: false })
  // with a checkpoint for it, signed by a key that is not the server's
  const forged = makeCheckpoint(createAuditKeys('what the intruder thinks up'), checkpoint, next, new Date())
  await intruder.query(
    'update sluice.audit_checkpoints set position = 4, hash = $1, last_id = $2, last_xid = $3, events = 9, signature = $4',
    [...[forged.hash, forged.lastId, forged.lastXid, forged.signature]],
  )
  expect(await verify()).toMatchObject({
    intact: false,
    broken: { why: 'the checkpoint behind seal 4 was signed by a key that is not configured' },
  })
  expect(await exported()).toMatchObject({ intact: false, broken: { why: expect.stringContaining('is not configured') } })
  await intruder.query('delete from sluice.audit_checkpoints')
  expect(await verify()).toMatchObject({ intact: false, broken: { why: 'seal 1 is missing' } })
  expect(await exported()).toMatchObject({ intact: false, broken: { why: 'seal 1 is missing' } })
})

test('the older of two true checkpoints is found, also with all that followed it (C7)', async () => {
  await intruder.query('update sluice.retention set audit_days = 380')
  const before = {
    events: (await intruder.query('select * from sluice.audit_events')).rows,
    seals: (await intruder.query('select * from sluice.audit_seals')).rows,
  }
  await shorten()
  const { rows: older } = await intruder.query('select * from sluice.audit_checkpoints')
  await intruder.query('update sluice.retention set audit_days = 365')
  await shorten()
  await intruder.query('truncate sluice.audit_checkpoints')
  const put = (table: string, row: Record<string, unknown>): Promise<unknown> => {
    const columns = Object.keys(row)
    const text = `insert into sluice.${table} (${columns.join(', ')}) values (${columns.map((_, at) => `$${at + 1}`).join(', ')}) on conflict do nothing`
    return intruder.query(
      text,
      Object.values(row).map((value) => (value?.constructor === Object ? JSON.stringify(value) : value)),
    )
  }
  await put('audit_checkpoints', older[0] as Record<string, unknown>)
  expect(await verify(), 'what followed it is missing').toMatchObject({ intact: false })
  // and brought back from a backup: a chain without any fault, but an old one
  for (const row of before.seals.slice(2)) await put('audit_seals', row as Record<string, unknown>)
  for (const row of before.events.slice(5)) await put('audit_events', row as Record<string, unknown>)
  expect(await verify({ head: createSealedHead(auditKeys) }), 'by itself it fits').toMatchObject({ intact: true })
  expect(await verify()).toMatchObject({
    intact: false,
    broken: { why: 'the checkpoint is not the newest: the log begins behind seal 3' },
  })
})

test('what is remembered of the checkpoint cannot be forged without the key', async () => {
  await shorten()
  const kept = JSON.parse(await readFile(headPath, 'utf8')) as Record<string, unknown>
  expect(kept).toMatchObject({ position: 5, checkpoint: 3 })
  await writeFile(headPath, JSON.stringify({ ...kept, checkpoint: 2 }))
  expect(await verify({ head: createSealedHead(auditKeys, headPath) })).toMatchObject({
    intact: false,
    broken: { why: expect.stringContaining('cannot be trusted') },
  })
})

test('a row or a seal that is put before the beginning is found (C7)', async () => {
  const { rows } = await intruder.query('select * from sluice.audit_seals where position = 2')
  await shorten()
  await intruder.query(
    `insert into sluice.audit_events (id, xid, at, type, severity, actor_kind, success, mac)
     select gen_random_uuid(), '3', at, type, severity, actor_kind, success, mac from sluice.audit_events limit 1`,
  )
  expect(await verify()).toMatchObject({ intact: false, broken: { why: expect.stringContaining('before the beginning') } })
  await intruder.query(`delete from sluice.audit_events where xid = '3'`)
  const [seal] = rows as [{ ids: string; last_xid: string; hash: Buffer; sealed_at: Date }]
  await intruder.query('insert into sluice.audit_seals values (2, $1, $2, $3, $4)', [
    seal.ids,
    seal.last_xid,
    seal.hash,
    seal.sealed_at,
  ])
  expect(await verify()).toMatchObject({ intact: false, broken: { why: expect.stringContaining('before the beginning') } })
})

test('on an export, a checkpoint that was dropped, moved, edited, or put where none was is found (C7)', async () => {
  const whole = await lines()
  await shorten()
  const short = await lines()
  expect(await check(short)).toMatchObject({ intact: true })
  const first = JSON.parse(short[0]!) as { after: number; hash: string; checkpoint: Record<string, unknown> }
  const { checkpoint, ...without } = first
  const heads = [
    without,
    { ...without, after: 0, hash: null },
    { ...first, checkpoint: { ...checkpoint, events: 1 } },
    { ...first, checkpoint: { ...checkpoint, position: 2 } },
    { ...first, after: 2 },
    { ...first, hash: `${first.hash.slice(0, -1)}${first.hash.endsWith('0') ? '1' : '0'}` },
  ]
  for (const wrong of heads)
    expect(await check([JSON.stringify(wrong), ...short.slice(1)]), JSON.stringify(wrong)).toMatchObject({ intact: false })
  expect(await check([JSON.stringify({ ...JSON.parse(whole[0]!), checkpoint }), ...whole.slice(1)])).toMatchObject({
    intact: false,
  })
  // the first seals of a whole export cut off, and the true checkpoint put in their place
  const behind = whole.findIndex((line) => line.startsWith('{"seal":{"position":3,'))
  expect(await check([short[0]!, ...whole.slice(behind + 1)])).toMatchObject({
    intact: false,
    broken: { why: expect.stringContaining('the end does not fit') },
  })
})

test('what is broken is not removed: it is evidence (C7)', async () => {
  await intruder.query(`update sluice.audit_events set type = 'flow.edited' where id = $1`, [ids[3]])
  expect(await shorten({ rowsAtATime: 2 }), 'the seal before it goes').toBe(2)
  expect(await verify()).toMatchObject({ intact: false, broken: { id: ids[3] } })
  const told = await database.query<{ severity: string; metadata: object }>(
    `select severity, metadata from sluice.audit_events where type = 'audit.broken'`,
  )
  expect(told).toEqual([{ severity: 'CRITICAL', metadata: { id: ids[3], why: 'was changed, or was not written by Sluice' } }])
})

test('with an archive, what goes lies there before, as exports that can be verified and follow each other (B10)', async () => {
  const archiveDir = join(directory, newUuid())
  expect(await shorten({ archiveDir, rowsAtATime: 4 })).toBe(7)
  const files = (await readdir(archiveDir)).toSorted()
  expect(files).toEqual(['audit-1-2.jsonl', 'audit-3-3.jsonl'])
  const parts = await Promise.all(files.map((file) => readFile(join(archiveDir, file), 'utf8')))
  const checks = await Promise.all(parts.map((part) => check(part.split('\n'))))
  expect(checks).toMatchObject([
    { intact: true, checked: 5, position: 2 },
    { intact: true, checked: 2, position: 3, checkpoint: { position: 2 } },
  ])
  expect(parts.join('')).toContain(ids[0])
})

test('a place that is no directory takes no archive, and nothing is removed', async () => {
  const archiveDir = join(directory, newUuid())
  await writeFile(archiveDir, 'a file')
  await expect(shorten({ archiveDir })).rejects.toMatchObject({ code: 'EEXIST' })
  expect(await count()).toBe(10)
})

test('two processes at once remove it once', async () => {
  const other = createSealedHead(auditKeys, join(directory, newUuid()))
  const counts = await Promise.all([shorten({ rowsAtATime: 2 }), shorten({ rowsAtATime: 2, head: other })])
  expect(counts[0] + counts[1]).toBe(7)
  expect(await verify()).toMatchObject({ intact: true, checkpoint: { events: 7 } })
})

test('a verification under way goes on from where the log begins now; an export under way says that it was overtaken', async () => {
  let reads = 0
  const overtaken: Database = {
    ...database,
    async query<Row>(text: string, params?: readonly unknown[]) {
      if (text.includes('(e.xid, e.id) <= ($3') && ++reads === 2) await shorten()
      return database.query<Row>(text, params)
    },
  }
  expect(await verify({ database: overtaken })).toMatchObject({
    intact: true,
    complete: true,
    position: 5,
    checkpoint: { position: 3 },
  })
  await write(1, 0)
  await intruder.query('truncate sluice.audit_checkpoints, sluice.audit_events, sluice.audit_seals')
  head = createSealedHead(auditKeys, join(directory, newUuid()))
  for (const days of [400, 390, 1]) await write(2, days)
  reads = 0
  await expect(lines({ database: overtaken })).rejects.toThrow('removed by its age while it was read')
})

test('an export that asks for what was removed says so', async () => {
  await shorten()
  await expect(lines({ after: 1 })).rejects.toThrow('what follows seal 1 was removed, up to seal 3')
  expect(await check(await lines({ after: 3 }))).toMatchObject({ intact: true, checked: 3 })
  expect(await check(await lines({ after: 4 }))).toMatchObject({ intact: true, checked: 1 })
})

test('a process that died before it remembered the checkpoint, and one whose end was removed by another, go on (C7)', async () => {
  const stale = createSealedHead(auditKeys, join(directory, newUuid()))
  const [second] = await readSeals(database, 1, 1)
  await stale.remember(second!)
  await shorten()
  expect(await verify({ head: stale })).toMatchObject({ intact: true, complete: true })
  const entry = auditEntry({ origin: {}, services: { database, auditKeys } }, { type: 'flow.created' })
  await database.transaction((em) => recordAudit(em, entry))
  await settled(database)
  await createSealer({ database, keys: auditKeys, head: stale, log }).runOnce()
  expect(await stale.read()).toMatchObject({ position: 6, checkpoint: 0 })
  await shorten({ head: stale })
  expect(await stale.read()).toMatchObject({ position: 6, checkpoint: 3 })
  expect(await verify({ head: stale })).toMatchObject({ intact: true, complete: true, position: 6 })
})

test('what is not sealed yet is looked at to its end, page by page', async () => {
  const entries = Array.from({ length: 25 }, () =>
    auditEntry({ origin: {}, services: { database, auditKeys } }, { type: 'flow.created' }),
  )
  for (const entry of entries) await database.transaction((em) => recordAudit(em, entry))
  await intruder.query('update sluice.audit_events set success = false where id = $1', [entries[23]!.id])
  let after: VerifiedPlace = { position: 0 }
  let checked = 0
  for (let pages = 0; pages < 20; pages++) {
    const page = await verify({ after, limit: 11 })
    checked += page.checked
    if (page.broken || page.complete) {
      expect(page).toMatchObject({ intact: false, broken: { id: entries[23]!.id } })
      break
    }
    after = page.place ?? { position: page.position }
  }
  expect(checked).toBe(33)
})
