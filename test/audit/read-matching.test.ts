/** What feeds read of the audit log costs what they look at, however much of the rest matches, with no statistics. */
import { expect, test } from 'vitest'
import type { AuditFilter } from '../../src/audit/audit-filter.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import type { ChainPlace } from '../../src/audit/read-chain.ts'
import { readLastMatching, readMatching } from '../../src/audit/read-matching.ts'
import { newUuid } from '../../src/ids.ts'
import { recordStatements } from '../harness/record-statements.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase({ entities: [AuditEvent] })
const actor = newUuid()

/** A transaction of a thousand rows that are all alike. */
const ROWS = `
  insert into sluice.audit_events (id, at, type, severity, actor_kind, actor_id, success, ip)
  select (lpad(to_hex(1700000000000 + $2::bigint * 1000 + n), 12, '0') || '7000' || '8000000000000000')::uuid, now(), 'flow.creationRefused', 'WARNING', 'USER', $1::uuid, false, '192.0.2.1' from generate_series(1, 1000) n`
for (let transaction = 0; transaction < 50; transaction++) await ownerQuery(ROWS, [actor, transaction])

/** The last row of the transaction so many before the newest. */
async function place(before: number): Promise<ChainPlace> {
  const [found] = await database.query<ChainPlace>(
    `select xid::text as xid, max(id::text) as id from sluice.audit_events group by audit_events.xid order by audit_events.xid desc offset $1 limit 1`,
    [before],
  )
  return found!
}

async function buffersOf(work: () => Promise<unknown[]>): Promise<{ rows: number; buffers: number }> {
  const { result, statements } = await recordStatements(work)
  const { text, values } = statements[0]!
  const [plan] = await database.query<Record<string, [{ Plan: Record<string, number> }]>>(
    `explain (analyze, buffers, format json) ${text}`,
    values,
  )
  const { Plan } = Object.values(plan!)[0]![0]
  return { rows: result.length, buffers: Plan['Shared Hit Blocks']! + Plan['Shared Read Blocks']! }
}

const FILTERS: AuditFilter[] = [
  {},
  { type: 'flow.creationRefused' },
  { actorId: actor, success: false },
  { severity: ['WARNING'] },
  { ip: '192.0.2.1' },
]

test.each(FILTERS)('a piece of the log, with %o', async (filter) => {
  const [after, to] = [await place(1), await place(0)]
  const { rows, buffers } = await buffersOf(() => readMatching(database, filter, { after, to }))
  expect(rows).toBe(1_000)
  // the table alone has some 1,000 pages
  expect(buffers).toBeLessThan(150)
})

test.each(FILTERS)('the end of the log, with %o', async (filter) => {
  const to = await place(0)
  const { rows, buffers } = await buffersOf(() => readLastMatching(database, filter, { to, limit: 50, within: 1_000 }))
  expect(rows).toBe(50)
  expect(buffers).toBeLessThan(150)
})
