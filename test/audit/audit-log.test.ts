import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { AuditEntry } from '../../src/audit/audit-entry.ts'
import { SEVERITIES } from '../../src/audit/audit-entry.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { auditEntry, recordAudit } from '../../src/audit/record-audit.ts'
import { newUuid } from '../../src/ids.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, connection, ownerConnection } = await testDatabase({ entities: [AuditEvent] })
const app = new Client({ connectionString: connection })
const owner = new Client({ connectionString: ownerConnection })
beforeAll(() => Promise.all([app.connect(), owner.connect()]))
afterAll(() => Promise.all([app.end(), owner.end()]))

const asker = { origin: { ip: '192.0.2.7', userAgent: 'curl/8' }, services: { database, auditKeys } }
const count = async (): Promise<number> => (await database.query('select id from sluice.audit_events')).length

test('an entry comes back as it was written, with database time (C7)', async () => {
  const ids = { flowId: newUuid(), executionId: newUuid() }
  const actor = { kind: 'USER', id: newUuid() } as const
  const facts = { ...ids, durationMs: 12.5, tokens: 7, errorCode: 'X', metadata: { "'; drop table": [1, 'ü'] } }
  const entry = auditEntry({ ...asker, principal: actor }, { type: 'flow.created', severity: 'NOTICE', success: false, ...facts })
  await database.transaction((em) => recordAudit(em, entry))
  const event = await database.fork().findOneOrFail(AuditEvent, entry.id)
  expect(event).toMatchObject({
    ...facts,
    type: 'flow.created',
    severity: 'NOTICE',
    success: false,
    actorKind: 'USER',
    actorId: actor.id,
  })
  expect(event).toMatchObject({ ip: '192.0.2.7', userAgent: 'curl/8', mac: expect.any(Buffer) })
  const [{ apart } = { apart: NaN }] = await database.query<{ apart: number }>(
    'select abs(extract(epoch from clock_timestamp() - at))::float8 as apart from sluice.audit_events where id = $1',
    [entry.id],
  )
  expect(apart).toBeLessThan(5)
})

test('an entry of nobody in particular is anonymous, and a long user agent is cut', () => {
  const entry = auditEntry({ ...asker, origin: { userAgent: 'x'.repeat(10_000) } }, { type: 'signIn.refused' })
  expect(entry).toMatchObject({ actorKind: 'ANONYMOUS', severity: 'INFO', success: true })
  expect(entry.userAgent).toHaveLength(256)
})

test('what a caller sends cannot spoil the transaction that is audited', async () => {
  const bad = 'a\u0000b\ud800'
  const entry = auditEntry(
    { ...asker, origin: { ip: bad, userAgent: bad } },
    { type: 'agent.refused', metadata: { role: bad, deep: [{ bad }] } },
  )
  await database.transaction((em) => recordAudit(em, entry))
  const event = await database.fork().findOneOrFail(AuditEvent, entry.id)
  expect(event).toMatchObject({
    ip: 'ab\ufffd',
    userAgent: 'ab\ufffd',
    metadata: { role: 'ab\ufffd', deep: [{ bad: 'ab\ufffd' }] },
  })
})

test('an entry shares the fate of the transaction it tells of', async () => {
  const before = await count()
  const failing = database.transaction(async (em) => {
    await recordAudit(em, auditEntry(asker, { type: 'flow.created' }), auditEntry(asker, { type: 'flow.created' }))
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  expect(await count()).toBe(before)
})

test('neither role can change or remove an audit event by an ordinary statement (C7, D1)', async () => {
  await database.transaction((em) => recordAudit(em, auditEntry(asker, { type: 'flow.created' })))
  const before = (await owner.query('select * from sluice.audit_events order by id')).rows
  const statements = [
    `update sluice.audit_events set type = 'x'`,
    'delete from sluice.audit_events',
    'truncate sluice.audit_events',
    `insert into sluice.audit_events select * from sluice.audit_events on conflict (id) do update set type = 'x'`,
    'merge into sluice.audit_events a using (select 1) on true when matched then delete',
  ]
  for (const statement of statements) {
    await expect(app.query(statement), statement).rejects.toMatchObject({ code: '42501' })
    await expect(owner.query(statement), statement).rejects.toMatchObject({
      code: '42501',
      message: 'audit events cannot be changed',
    })
  }
  for (const statement of [
    'alter table sluice.audit_events disable trigger all',
    'drop table sluice.audit_events',
    'create or replace function sluice.refuse_audit_change() returns trigger language plpgsql as $$ begin return null; end $$',
  ]) {
    await expect(app.query(statement), statement).rejects.toMatchObject({ code: '42501' })
  }
  expect((await owner.query('select * from sluice.audit_events order by id')).rows).toEqual(before)
})

test('the table knows the severities and actor kinds that the program knows', async () => {
  const row = (entry: Partial<AuditEntry>): Promise<void> =>
    database.transaction((em) => recordAudit(em, { ...auditEntry(asker, { type: 'flow.created' }), ...entry }))
  for (const severity of SEVERITIES) await row({ severity })
  for (const actorKind of ['USER', 'API_KEY', 'AGENT', 'SYSTEM', 'ANONYMOUS'] as const) await row({ actorKind })
  await expect(row({ severity: 'DEBUG' as 'INFO' })).rejects.toMatchObject({ code: '23514' })
  await expect(row({ actorKind: 'ROBOT' as 'USER' })).rejects.toMatchObject({ code: '23514' })
})

test('listing by time, actor, flow, execution, type, address, and what needs attention, each walks an index (C7)', async () => {
  await owner.query('begin')
  await owner.query('set local enable_seqscan = off')
  const id = newUuid()
  for (const [where, index] of [
    ['true', 'audit_events_pkey'],
    [`actor_id = '${id}'`, 'audit_events_actor'],
    [`flow_id = '${id}'`, 'audit_events_flow'],
    [`execution_id = '${id}'`, 'audit_events_execution'],
    [`type = 'signIn.refused'`, 'audit_events_type'],
    [`ip = '192.0.2.1'`, 'audit_events_ip'],
    [`severity = 'CRITICAL' and severity <> 'INFO'`, 'audit_events_attention'],
    ['not success', 'audit_events_undone'],
  ] as const) {
    const { rows } = await owner.query(`explain select * from sluice.audit_events where ${where} order by id desc limit 20`)
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(plan).toContain(index)
    expect(plan).not.toContain('Sort')
  }
  await owner.query('rollback')
})
