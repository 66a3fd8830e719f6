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
  ['engine/claim', 'claim_next'],
  ['engine/claim', 'claim_executions'],
  ['engine/claim', 'claim_offered'],
  ['engine/claim-steps', 'claim_steps'],
  ['engine/find-work', 'find_work'],
  ['engine/find-work', 'first_worker'],
  ['engine/find-work', 'turn_at'],
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

test.each(['claim_next', 'claim_executions'])('a worker without a lease claims nothing: %s', async (name) => {
  expect(await database.query(`select * from sluice.${name}($1, 10, null)`, ['01900000-0000-7000-8000-000000000000'])).toEqual([])
})

test('what is due in the next two seconds is the turn of one worker, which lives, has room and is of its pool', async () => {
  const worker = (id: number, more = `now() + interval '1 hour', '{bed}', 10, 0`): Promise<unknown> =>
    ownerQuery(`insert into sluice.workers (id, expires_at, pools, capacity, held) values ('${idOf(id)}', ${more})`)
  const idOf = (id: number): string => `01900000-0000-7000-8000-00000000000${id}`
  await Promise.all([1, 2, 3].map((id) => worker(id)))
  await worker(4, `now() + interval '1 hour', '{bed}', 10, 10`)
  await worker(5, `now() - interval '1 second', '{bed}', 10, 0`)
  await worker(6, `now() + interval '1 hour', '{other}', 10, 0`)
  const turns = await ownerQuery<{ second: number; workers: string[]; inTime: boolean }>(
    `select s.n as second, array_agg(right(w.id::text, 1)) as workers, bool_and(t.at between due.at - interval '1 second' and due.at) as "inTime"
     from generate_series(1, 60) as s(n), lateral (select now() + s.n * interval '33 milliseconds' as at) as due, sluice.workers w,
       lateral (select sluice.turn_at(w.id, due.at, 'bed') as at) as t
     where t.at = due.at group by s.n`,
  )
  const within = turns.filter(({ second }) => second <= 30)
  expect(within).toHaveLength(30)
  for (const { workers, inTime } of turns) {
    expect(inTime).toBe(true)
    expect(workers).toHaveLength(1)
    expect(['1', '2', '3']).toContain(workers[0])
  }
  // another one in each second
  const firsts = await ownerQuery<{ first: string; seconds: number }>(
    `select right(sluice.first_worker(n, 'bed')::text, 1) as first, count(*)::integer as seconds from generate_series(1, 300) as n group by 1 order by 1`,
  )
  expect(firsts.map(({ first }) => first)).toEqual(['1', '2', '3'])
  for (const { seconds } of firsts) expect(seconds).toBeGreaterThan(50)
  // when all are full, one of them looks all the same
  await ownerQuery('update sluice.workers set held = capacity')
  expect(await ownerQuery(`select from sluice.workers w where sluice.first_worker(1, 'bed') = w.id`)).toHaveLength(1)
})
