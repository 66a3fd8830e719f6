/** What must be true of everything stored, whatever happened: each rule is a query for its breaches. */
import type { Database } from '../../src/database/database.ts'

const ENDED = `('SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT')`

/** Steps of pools that are in flight, as their executions know them. */
const POOLED = `(select e.id, e.pause_reason is not null as paused, x ->> 'path' as path, (x ->> 'attempt')::integer as attempt,
  (x ->> 'epoch')::integer as epoch, coalesce((x ->> 'claims')::integer, 0) as claims, (x ->> 'worker')::uuid as worker
  from sluice.executions e, jsonb_array_elements(e.in_flight) as x where x ->> 'kind' = 'pooled')`
/** Has the steps of paused executions. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

/** Rules that hold at every moment. */
const ALWAYS: Record<string, string> = {
  'seq counts the events without a gap': `
    select e.id from sluice.executions e
    left join (select execution_id, count(*) as count, max(seq) as last, min(seq) as first from sluice.events group by 1) v
      on v.execution_id = e.id
    where e.seq <> coalesce(v.count, 0) or e.seq <> coalesce(v.last, 0) or coalesce(v.first, 1) <> 1`,
  'event times never go back': `
    select execution_id from (select execution_id, at, lag(at) over (partition by execution_id order by seq) as before
      from sluice.events) as v where at < before`,
  'what is recorded as a step run is in the history once': `
    select s.execution_id, s.path from sluice.step_runs s
    where position('[' in s.path) = 0 and 1 <> (select count(*) from sluice.events v where v.execution_id = s.execution_id and v.path = s.path
      and v.type = 'step.' || case when s.reused_from is null then lower(s.status) else 'reused' end)
      -- what a retry uses again is told when it begins
      and (s.reused_from is null or exists (select from sluice.executions e where e.id = s.execution_id and e.started_at is not null))`,
  'what the history says ended is recorded': `
    select v.execution_id, v.path, v.type from sluice.events v
    where v.type in ('step.succeeded', 'step.failed', 'step.skipped', 'step.canceled') and not exists (
      select from sluice.step_runs s where s.execution_id = v.execution_id and s.path = v.path
        and v.type = 'step.' || lower(s.status))`,
  'a map that succeeded has a step run for each item': `
    select m.execution_id, m.path from sluice.step_runs m
    where m.type = 'map' and m.status = 'SUCCEEDED' and m.reused_from is null and (m.input ->> 'total')::integer <> (
      select count(*) from sluice.step_runs s where s.execution_id = m.execution_id and s.path ~ '\\.items\\[[0-9]+\\]$'
        and regexp_replace(s.path, '\\.items\\[[0-9]+\\]$', '') = m.path)`,
  'a child that succeeded was waited for once': `
    select e.parent_id from sluice.executions e where e.parent_id is not null and e.status = 'SUCCEEDED'
    group by e.parent_id having count(*) < (select count(*) from sluice.step_runs s
      where s.execution_id = e.parent_id and s.type = 'flow' and s.status = 'SUCCEEDED' and s.reused_from is null)`,
  'nothing follows the end': `
    select v.execution_id from sluice.events v
    where v.type in ('execution.succeeded', 'execution.failed', 'execution.canceled', 'execution.timedOut')
      and exists (select from sluice.events w where w.execution_id = v.execution_id and w.seq > v.seq)`,
  'counters agree with the step runs of the definition': `
    select e.id from sluice.executions e
    where e.steps_succeeded <> (select count(*) from sluice.step_runs s where s.execution_id = e.id and s.path = s.name and s.status = 'SUCCEEDED')
      or e.steps_failed <> (select count(*) from sluice.step_runs s where s.execution_id = e.id and s.path = s.name and s.status = 'FAILED')
      or e.steps_skipped <> (select count(*) from sluice.step_runs s where s.execution_id = e.id and s.path = s.name and s.status = 'SKIPPED')`,
  'an ended execution has ended in every way': `
    select id from sluice.executions
    where status in ${ENDED} and (owner is not null or wake_at is not null or deadline_at is not null or in_flight <> '[]'
      or ended_at is null or ending is not null)`,
  'only the living ask': `
    select r.id from sluice.agent_requests r join sluice.executions e on e.id = r.execution_id
    where r.status = 'OPEN' and e.status in ${ENDED}`,
  'whoever waits for an answer has asked': `
    select e.id from sluice.executions e, jsonb_array_elements(e.in_flight) as f
    where f ->> 'kind' = 'agent' and not exists (
      select from sluice.agent_requests r where r.id = (f ->> 'requestId')::uuid and r.status = 'OPEN')`,
  'whoever undoes tells why, and has a deadline': `
    select id from sluice.executions where ending is not null and (reason is null or deadline_at is null)`,
  'whoever waits for votes has asked, and every vote that counts is stored': `
    select e.id from sluice.executions e, jsonb_array_elements(e.in_flight) as f
    where f ->> 'kind' = 'approval' and (not exists (
      select from sluice.agent_requests r where r.id = (f ->> 'requestId')::uuid and r.status = 'OPEN')
      or jsonb_array_length(f -> 'votes') <>
        (select count(*) from sluice.votes v where v.request_id = (f ->> 'requestId')::uuid))`,
  'nobody is asked any more when it is decided': `
    select a.request_id from sluice.approvers a join sluice.agent_requests r on r.id = a.request_id
    where a.is_open <> (r.status = 'OPEN')`,
  'every signal is in the history once': `
    select s.execution_id, s.seq from sluice.signals s
    where not exists (select from sluice.events v where v.execution_id = s.execution_id and v.seq = s.seq
      and v.type = 'signal.received')`,
  'a slot has somebody who has not ended': `
    select s.execution_id from sluice.slots s left join sluice.executions e on e.id = s.execution_id
    where e.id is null or e.ended_at is not null`,
  'whoever runs of a flow with slots holds one, and whoever waits for one does not run': `
    select s.execution_id, e.status from sluice.slots s join sluice.executions e on e.id = s.execution_id
    where s.held_at is null and (e.started_at is not null or e.owner is not null)`,
  'no more hold a slot than may': `
    select flow_id, key from sluice.slots where held_at is not null group by 1, 2 having count(*) > max(most)`,
  'what waits has something to wait for': `
    select id from sluice.executions where status = 'WAITING' and (wake_at is null or in_flight = '[]')`,
  'a step that waits for its pool, or runs there, has a row in the queue, and nothing else has one': `
    select coalesce(p.execution_id, f.id) as id, coalesce(p.path, f.path) as path from sluice.pooled_steps p
    full join ${POOLED} as f on f.id = p.execution_id and f.path = p.path and f.attempt = p.attempt
    where f.id is null or p.execution_id is null`,
  'whoever has a step of a pool, by what its execution knows, has it in the queue, unless somebody has claimed it since': `
    select f.id, f.path, f.claims, f.worker, p.epoch, p.owner from sluice.pooled_steps p
    join ${POOLED} as f on f.id = p.execution_id and f.path = p.path
    where p.epoch < f.claims or (p.owner = '${NOBODY}' and not (f.paused and f.epoch = 0))
      or (p.epoch = f.claims and f.worker is not null and p.owner is distinct from f.worker)`,
  'the audit log has one entry for each end': `
    select e.id from sluice.executions e
    where (e.ended_at is not null)::int <>
      (select count(*) from sluice.audit_events a where a.execution_id = e.id and a.type = 'execution.finished')`,
}

const AT_THE_END: Record<string, string> = {
  'no word to the living is left unread': `
    select i.execution_id, i.key from sluice.inbox i join sluice.executions e on e.id = i.execution_id where e.ended_at is null`,
  'every execution has ended': `select id, status, owner from sluice.executions where status not in ${ENDED}`,
  'no step was taken for poisonous': `select execution_id, path from sluice.step_runs where error ->> 'code' = 'POISONED'`,
}

/** Where a whole fleet ran, with everything that mends and answers. */
const OF_A_FLEET: Record<string, string> = {
  'nothing had to be mended': 'select invariant, execution_id from sluice.repairs',
  'no slot is held or asked for': 'select execution_id, key from sluice.slots',
  'a question is answered once': `
    select r.execution_id, count(*) from sluice.agent_requests r where r.kind = 'REQUEST' and r.status = 'ANSWERED' group by 1
    having count(*) <> (select count(*) from sluice.events v where v.execution_id = r.execution_id and v.type = 'agent.answered')`,
  'a key started one execution': `
    select k.key from sluice.idempotency_keys k left join sluice.executions e on e.id = k.subject_id
    where k.operation = 'startExecution' and e.id is null`,
}

/** Each breach as `rule: row`, the first few of each rule; [] when all is well. */
export async function breaches(
  database: Pick<Database, 'query'>,
  { atTheEnd = true, ofAFleet = false, except = [] as readonly string[] } = {},
): Promise<string[]> {
  const found: string[] = []
  const rules = { ...ALWAYS, ...(atTheEnd && AT_THE_END), ...(ofAFleet && OF_A_FLEET) }
  for (const [rule, text] of Object.entries(rules)) {
    if (except.includes(rule)) continue
    const rows = await database.query<object>(`${text} limit 3`)
    for (const row of rows) found.push(`${rule}: ${JSON.stringify(row)}`)
  }
  return found
}

/** Resolves when every execution has ended; rejects after `withinMs` with those that have not. */
export async function allEnded(database: Pick<Database, 'query'>, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs
  for (;;) {
    const left = await database.query<object>(
      `select id, status, owner, epoch, in_flight from sluice.executions where ended_at is null limit 3`,
    )
    if (left.length === 0) return
    if (performance.now() > until) throw new Error(`not ended within ${withinMs} ms: ${JSON.stringify(left)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
