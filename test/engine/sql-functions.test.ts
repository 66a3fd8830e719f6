import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase()

/** Found by themselves, by whom they concern or by their time: they are about an execution, and not part of it. */
const KEPT_APART: readonly string[] = [
  ...['agent_requests', 'approvals', 'audit_events', 'cached_results', 'execution_links', 'repairs'],
  ...['schedule_firings', 'webhook_deliveries'],
]

test.each([
  ['engine/commit', 'commit_transitions'],
  ['engine/commit-waits', 'commit_waits'],
  ['engine/commit-slots', 'commit_slots'],
  ['engine/commit-slots', 'grant_slots'],
  ['engine/commit-slots', 'refused_slots'],
  ['engine/claim', 'claim_executions'],
  ['engine/claim', 'claim_offered'],
  ['engine/ensure-partitions', 'ensure_partitions'],
  ['engine/remove-finished', 'refuse_execution_change'],
  ['engine/remove-finished', 'lock_finished'],
  ['engine/remove-finished', 'remove_finished'],
  ['engine/remove-finished', 'remove_flow_payloads'],
  ['engine/remove-finished', 'delete_finished'],
  ['engine/remove-finished', 'remove_idempotency_keys'],
  ['engine/remove-finished', 'drop_partition'],
  ['engine/trim-commit-log', 'trim_commit_log'],
  ['live/change-log', 'database_epoch'],
  ['live/change-log', 'commits_after'],
  ['live/change-log', 'agent_requests_after'],
  ['audit/remove-audit-prefix', 'remove_audit_prefix'],
])('a function in the database is the text of %s.sql: %s', async (file, name) => {
  const text = await readFile(new URL(`../../src/${file}.sql`, import.meta.url), 'utf8')
  const [row] = await ownerQuery<{ prosrc: string }>(`select prosrc from pg_proc where oid = $1::regproc`, [`sluice.${name}`])
  expect(text).toContain(row!.prosrc)
})

test('what belongs to an execution has its id first in its key, so that a distributed PostgreSQL can keep it together', async () => {
  const keys = await ownerQuery<{ table: string; first: string }>(
    `select c.relname as table, a.attname as first from pg_class c
     join pg_index i on i.indrelid = c.oid and i.indisprimary
     join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
     where c.relnamespace = 'sluice'::regnamespace and not c.relispartition
       and exists (select from pg_attribute x where x.attrelid = c.oid and x.attname = 'execution_id' and not x.attisdropped)
     order by 1`,
  )
  const others = keys.filter(({ first }) => first !== 'execution_id').map(({ table }) => table)
  expect(keys.length).toBeGreaterThan(others.length)
  expect(others).toEqual(KEPT_APART)
})

test('a worker without a lease claims nothing', async () => {
  expect(
    await database.query('select * from sluice.claim_executions($1, 10, null)', ['01900000-0000-7000-8000-000000000000']),
  ).toEqual([])
})
