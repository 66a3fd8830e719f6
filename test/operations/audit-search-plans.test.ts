/** Searching the audit log reads little of it, however much there is and whatever is searched for, with no statistics. */
import { beforeAll, expect, test } from 'vitest'
import type { AuditFilter } from '../../src/audit/audit-filter.ts'
import { newUuid } from '../../src/ids.ts'
import { listAuditEvents } from '../../src/operations/audit/list-audit-events.ts'
import { testApi } from '../harness/api.ts'
import { recordStatements } from '../harness/record-statements.ts'

const { database, ownerQuery, call, person } = await testApi()
const admin = await person('ADMIN')
const [somebody, flow, execution] = [newUuid(), newUuid(), newUuid()]
const START = 1_700_000_000_000

/** 60,000 starts and ends that went well, and two in each thousand of what is rare: at the other end of the log. */
const ROWS = `
  insert into sluice.audit_events (id, at, type, severity, actor_kind, actor_id, flow_id, execution_id, success, ip)
  select (lpad(to_hex(${START} + n * 100), 12, '0') || '7000' || substr(md5(n::text), 1, 16))::uuid,
    to_timestamp((${START} + n * 100) / 1000.0), case when n % 2 = 0 then 'execution.started' else 'execution.finished' end, 'INFO',
    case when n % 2 = 0 then 'USER' else 'SYSTEM' end, case when n % 2 = 0 then gen_random_uuid() end, gen_random_uuid(),
    gen_random_uuid(), true, case when n % 2 = 0 then '192.0.2.' || n % 200 end
  from generate_series(1000, 61000) n`
const RARE = `
  insert into sluice.audit_events (id, at, type, severity, actor_kind, actor_id, flow_id, execution_id, success, ip)
  select (lpad(to_hex(${START} + n * 100), 12, '0') || '7000' || substr(md5(n::text), 1, 16))::uuid,
    to_timestamp((${START} + n * 100) / 1000.0), case when n % 2 = 0 then 'security.refusals' else 'flow.creationRefused' end, 'WARNING',
    'USER', $1::uuid, $2::uuid, $3::uuid, false, '198.51.100.7'
  from generate_series(1, 30) n`

beforeAll(async () => {
  await ownerQuery(RARE, [somebody, flow, execution])
  await ownerQuery(ROWS)
})

const at = (ms: number) => new Date(START + ms)
test.each<[what: string, length: number, filter: AuditFilter]>([
  ['all', 21, {}],
  ['a type', 15, { type: 'flow.creationRefused' }],
  ['security events', 15, { security: true }],
  ['everything but security events', 21, { security: false }],
  ['a severity', 21, { severity: ['WARNING'] }],
  ['severities that there are none of', 0, { severity: ['NOTICE', 'CRITICAL'] }],
  ['every severity', 21, { severity: ['INFO', 'WARNING'] }],
  ['what was not done', 21, { success: false }],
  ['what was done', 21, { success: true }],
  ['an actor', 21, { actorId: somebody }],
  ['a flow', 21, { flowId: flow }],
  ['an execution', 21, { executionId: execution }],
  ['an address', 21, { ip: '198.51.100.7' }],
  ['an address that nobody has', 0, { ip: '203.0.113.1' }],
  ['a busy address', 21, { ip: '192.0.2.8' }],
  ['a time', 21, { after: at(3_000_000), before: at(3_010_000) }],
  [
    'an address, not done, of a severity',
    15,
    { ip: '198.51.100.7', success: false, severity: ['WARNING'], type: 'flow.creationRefused' },
  ],
])('a search for %s', async (_what, length, filter) => {
  const { result, statements } = await recordStatements(() =>
    listAuditEvents(call(admin), filter, { limit: 21, shown: 20, descending: true }),
  )
  expect(result).toHaveLength(length)
  const [plan] = await database.query<Record<string, [{ Plan: Record<string, number> }]>>(
    `explain (analyze, buffers, format json) ${statements[0]!.text}`,
    statements[0]!.values,
  )
  const { Plan } = Object.values(plan!)[0]![0]
  // the table has some 1,300 pages, its indexes more
  expect(Plan['Shared Hit Blocks']! + Plan['Shared Read Blocks']!).toBeLessThan(300)
})
