/** A hundred thousand finished executions go, while others run: in bounded batches, and nobody who works notices. */
import { expect, test } from 'vitest'
import { removeOld } from '../../src/engine/remove-finished.ts'
import { createLog } from '../../src/log.ts'
import { newUuid } from '../../src/ids.ts'
import { age, makePartitions, olderId, superuserOf } from '../harness/age.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { allEnded } from '../harness/invariants.ts'
import { testDatabase } from '../harness/test-database.ts'

const MANY = 100_000
/** of a thousand executions, on a machine with other things to do; a statement may take 5 s */
const BATCH_MS = 3_000

const { database, name } = await testDatabase()

test(`${MANY} finished executions are removed in batches, and those that run go on (A11, D8)`, { timeout: 400_000 }, async () => {
  const superuser = await superuserOf(name)
  const engine = await testEngine(database, { log: createLog('fatal') })
  const waits = await storeFlow(database, { name: 'waits', steps: { a: { type: 'wait', duration: 'P20D' } } })
  const short = await storeFlow(database, { name: 'short', steps: { a: { type: 'transform', set: {} } } })
  // among them every thousandth has not ended
  const base = olderId(newUuid(), 100)
  await makePartitions(superuser, [Date.now() - 100 * 86_400_000])
  await superuser.query(
    `with made as (
       insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, seq, last_event_at, state_bytes, steps_total,
         created_at, started_at, ended_at, wake_at, in_flight)
       select (left($1::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, $2, $3, $2, case when n % 1000 = 0 then 'WAITING' else 'SUCCEEDED' end, 4, t,
         2, 1, t, t, case when n % 1000 > 0 then t end, case when n % 1000 = 0 then 'infinity'::timestamptz end,
         case when n % 1000 = 0 then '[{"kind": "wait", "path": "a", "attempt": 1, "startedAt": 1, "dueAt": 8000000000000}]'::jsonb else '[]' end
       from generate_series(1, ${MANY}) as n, (select now() - interval '99 days' as t) as x returning id),
     inputs as (insert into sluice.execution_inputs select id, '{"n": 1}' from made),
     outputs as (insert into sluice.execution_outputs select id, '{"n": 1}' from made),
     runs as (insert into sluice.step_runs (execution_id, path, name, type, status, attempt, finished_at, output)
       select id, 'a' || n, 'a', 'handler', 'SUCCEEDED', 1, now(), '{"n": 1}' from made, generate_series(1, 2) as n)
     insert into sluice.events (execution_id, seq, type, at) select id, n, 'step.started', now() from made, generate_series(1, 4) as n`,
    [base, waits.flowId, waits.flowVersionId],
  )
  const running = await age(superuser, [await startFlow(engine, waits)], 200)

  const batches: number[] = []
  const timed = {
    ...database,
    async transaction<T>(work: Parameters<typeof database.transaction<T>>[0]) {
      const began = performance.now()
      const result = await database.transaction(work)
      batches.push(performance.now() - began)
      return result
    },
  }
  let longest = 0
  let over = false
  const works = (async () => {
    for (let n = 0; !over; n++) {
      const began = performance.now()
      await startFlow(engine, short)
      longest = Math.max(longest, performance.now() - began)
    }
  })()
  const began = performance.now()
  const options = { database: timed, auditKeys, isStopping: () => false }
  const ENDED = MANY - MANY / 1000
  expect(await removeOld('executionPayloads', options)).toBe(ENDED)
  expect(await removeOld('executions', options)).toBe(ENDED)
  const took = performance.now() - began
  over = true
  await works
  const numbers = batches.map((ms) => Math.round(ms)).toSorted((a, b) => a - b)
  console.log(
    `removed ${ENDED} in ${Math.round(took)} ms, rests included; a batch took ${numbers[numbers.length >> 1]} ms (median), ${numbers.at(-1)} ms at most; meanwhile a start took ${Math.round(longest)} ms at most`,
  )
  expect(batches.length).toBeGreaterThan(2 * (MANY / 1000))
  expect(numbers.at(-1)).toBeLessThan(BATCH_MS)
  const [left] = await database.query(
    `select (select count(*)::int from sluice.executions where id < $1) as executions, (select count(*)::int from sluice.execution_inputs where execution_id < $1) as inputs,
       (select count(*)::int from sluice.step_runs where execution_id < $1) as runs, (select count(*)::int from sluice.events where execution_id < $1 and execution_id <> $2) as events`,
    [olderId(newUuid(), 50), running[0]],
  )
  expect(left).toEqual({
    executions: MANY / 1000 + 1,
    inputs: MANY / 1000 + 1,
    runs: (MANY / 1000) * 2,
    events: (MANY / 1000) * 4,
  })
  const told = await database.query<{ n: number }>(
    `select sum((metadata ->> 'executionPayloads')::int)::int as n from sluice.audit_events where type = 'retention.removed'`,
  )
  expect(told).toEqual([{ n: ENDED }])
  await superuser.query(
    `update sluice.executions set wake_at = null, deadline_at = null, status = 'CANCELED', ended_at = now(), in_flight = '[]' where ended_at is null and id < $1`,
    [olderId(newUuid(), 50)],
  )
  await allEnded(database, 20_000)
})
