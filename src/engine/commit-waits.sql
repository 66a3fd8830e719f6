-- The part of a commit that writes signals, approvals, what retries go on with, moves to other versions, failures, tokens, traces and steps of
-- pools (commit.sql
-- calls it when there are any): rows of the kinds of `WaitRow` in src/engine/decide/wait-rows.ts, each a JSON object. Their keys are unique:
-- what is written twice is refused with the whole transition.
create or replace function sluice.commit_waits(waits sluice.wait_row[]) returns void
language plpgsql
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  -- has the steps of paused executions
  nobody constant uuid := '00000000-0000-0000-0000-000000000000';
  wanted bigint;
  copied bigint;
begin
  insert into sluice.signals (execution_id, seq, id, name, data, bytes, sent_by, at)
  select w.execution_id, (w.body ->> 'seq')::integer, (w.body ->> 'id')::uuid, w.body ->> 'name', w.body -> 'data',
    (w.body ->> 'bytes')::integer, w.body ->> 'sentBy', to_timestamp((w.body ->> 'at')::double precision / 1000)
  from unnest(waits) as w where w.kind = 'signal';

  update sluice.signals s set taken_by = w.body ->> 'path'
  from unnest(waits) as w
  where w.kind = 'taken' and s.execution_id = w.execution_id and s.seq = (w.body ->> 'seq')::integer;

  insert into sluice.approvals (request_id, execution_id, data_hash, quorum, rejects, self_approval)
  select (w.body ->> 'requestId')::uuid, w.execution_id, w.body ->> 'dataHash', (w.body ->> 'quorum')::smallint,
    (w.body ->> 'rejects')::smallint, (w.body ->> 'selfApproval')::boolean
  from unnest(waits) as w where w.kind = 'approval';

  insert into sluice.approvers (request_id, approver)
  select (w.body ->> 'requestId')::uuid, json_array_elements_text(w.body -> 'approvers')
  from unnest(waits) as w where w.kind = 'approval';

  -- somebody may be named and be handed a vote: then they are named already
  insert into sluice.approvers (request_id, approver, delegated_by)
  select (w.body ->> 'requestId')::uuid, 'user:' || (w.body ->> 'to'), (w.body ->> 'from')::uuid
  from unnest(waits) as w where w.kind = 'delegation'
  on conflict (request_id, approver) do update set delegated_by = excluded.delegated_by;

  insert into sluice.votes (request_id, voter_id, voted_for, decision, data, data_hash, at)
  select (w.body ->> 'requestId')::uuid, (w.body ->> 'by')::uuid, (w.body ->> 'for')::uuid, w.body ->> 'decision',
    w.body -> 'data', w.body ->> 'dataHash', to_timestamp((w.body ->> 'at')::double precision / 1000)
  from unnest(waits) as w where w.kind = 'vote';

  -- whoever follows what is asked sees votes come in, and what was handed to them
  update sluice.agent_requests r set changed_xid = pg_current_xact_id()
  from unnest(waits) as w where w.kind in ('delegation', 'vote') and r.id = (w.body ->> 'requestId')::uuid;

  -- `onFailure`: what is to be started, and in the transaction of that start, that it was
  insert into sluice.failures (execution_id) select w.execution_id from unnest(waits) as w where w.kind = 'failed'
  on conflict do nothing;
  update sluice.failures f set handled_by = w.execution_id
  from unnest(waits) as w where w.kind = 'failureOf' and f.execution_id = (w.body ->> 'id')::uuid and f.handled_by is null;

  update sluice.executions e
  set flow_version_id = (w.body ->> 'flowVersionId')::uuid, steps_total = (w.body ->> 'stepsTotal')::smallint,
    pool = coalesce(w.body ->> 'pool', 'default')
  from unnest(waits) as w where w.kind = 'moved' and e.id = w.execution_id;
  update sluice.executions e set tokens = (w.body ->> 'tokens')::integer
  from unnest(waits) as w where w.kind = 'tokens' and e.id = w.execution_id;
  insert into sluice.execution_traces (execution_id, traceparent)
  select w.execution_id, w.body ->> 'traceparent' from unnest(waits) as w where w.kind = 'trace';

  if exists (select from unnest(waits) as w where w.kind in ('pooled', 'unpooled', 'requeued', 'setAside')) then
    delete from sluice.pooled_steps p using unnest(waits) as w
    where w.kind = 'unpooled' and p.execution_id = w.execution_id and p.path = w.body ->> 'path';
    -- one that was set aside is there; whoever had claimed it before, and has not told it yet, keeps it, unless it is of another pool now
    insert into sluice.pooled_steps (execution_id, path, attempt, pool, initiator_id, priority, epoch)
    select e.id, w.body ->> 'path', (w.body ->> 'attempt')::integer, w.body ->> 'pool', e.initiator_id, e.priority, (w.body ->> 'epoch')::integer
    from unnest(waits) as w join sluice.executions e on e.id = w.execution_id where w.kind = 'pooled'
    on conflict (execution_id, path) do update
      set owner = null, pool = excluded.pool, epoch = pooled_steps.epoch + (pooled_steps.pool <> excluded.pool)::integer
      where pooled_steps.owner = nobody or pooled_steps.pool <> excluded.pool;
    -- whoever has claimed it since keeps it
    update sluice.pooled_steps p set owner = null from unnest(waits) as w
    where w.kind = 'requeued' and p.execution_id = w.execution_id and p.path = w.body ->> 'path' and p.epoch = (w.body ->> 'epoch')::integer;
    update sluice.pooled_steps p set owner = nobody from unnest(waits) as w
    where w.kind = 'setAside' and p.execution_id = w.execution_id and p.path = w.body ->> 'path'
      and (p.owner is null or p.epoch = (w.body ->> 'epoch')::integer);
  end if;

  select sum(json_array_length(w.body -> 'paths')) into wanted from unnest(waits) as w where w.kind = 'origin';
  if wanted is null then return; end if;
  insert into sluice.execution_origins (execution_id, retried, from_step, reason, initiators)
  select w.execution_id, (w.body ->> 'retried')::uuid, w.body ->> 'from', w.body ->> 'reason',
    array(select json_array_elements_text(w.body -> 'initiators'))::uuid[]
  from unnest(waits) as w where w.kind = 'origin';

  -- what is used again is copied: what it came from is removed when its time has come
  insert into sluice.step_runs (execution_id, path, name, type, status, attempt, started_at, finished_at, route, input, output, error,
    reused_from)
  select w.execution_id, s.path, s.name, s.type, s.status, s.attempt, s.started_at, s.finished_at, s.route, s.input, s.output, s.error,
    coalesce(s.reused_from, s.execution_id)
  from unnest(waits) as w
  cross join lateral json_array_elements_text(w.body -> 'paths') as p(path)
  join sluice.step_runs s on s.execution_id = (w.body ->> 'retried')::uuid and s.path = p.path
  where w.kind = 'origin';
  get diagnostics copied = row_count;
  if copied <> wanted then
    raise exception 'the step runs of a retry are not there any more' using errcode = 'SL003', constraint = 'step_runs_reused';
  end if;
end $$;
