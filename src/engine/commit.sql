-- The one write path (src/engine/commit.ts calls it): many executions' transitions in one transaction of simple set-based statements.
-- Rows that another transaction holds are refused as 'skipped', rows whose version or epoch differ as 'stale', rows that are not
-- there any more as 'gone'; everything after that touches fresh rows only. Planner settings are fixed so that stale statistics
-- cannot flip a plan.
--
-- Its parameters are rows of the types of migrations/008-commit-rows.ts, 016-compensation.ts, 017-slots.ts and 030-pools.ts, which
-- src/engine/encode.ts writes.
create or replace function sluice.commit_transitions(
  starts sluice.start_row_30[], keyed boolean, ids uuid[], versions integer[], epochs integer[], updates sluice.update_row_16[],
  step_runs sluice.step_run_row[], events sluice.event_row[], asks sluice.ask_row[], closed_asks sluice.closed_ask_row[],
  outputs sluice.output_row[], reads sluice.read_row[], sends sluice.send_row[], keys sluice.key_row[],
  audits sluice.audit_row[], waits sluice.wait_row[], slots sluice.slot_row[]
) returns table (at double precision, refused json)
language plpgsql
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  out_ids uuid[] := '{}';
  out_rows jsonb := '[]';
  some_ids uuid[];
  some_rows jsonb;
  found_ids uuid[];
  found_versions integer[];
  found_epochs integer[];
  no_slot uuid[];
  woken uuid[];
  told uuid[];
begin
  if starts is not null then
    if keyed then
      insert into sluice.idempotency_keys (principal_id, operation, key, input_hash, subject_id)
      select distinct on (s.principal_id, s.key) s.principal_id, 'startExecution', s.key, s.input_hash, s.id
      from unnest(starts) as s
      where s.key is not null order by s.principal_id, s.key
      on conflict do nothing;
      -- the losers, in a statement of its own: it sees what the winner committed meanwhile
      select array_agg(s.id), jsonb_agg(jsonb_build_object('id', s.id, 'subject', k.subject_id,
          'verdict', case when k.input_hash = s.input_hash then 'replayed' else 'mismatch' end))
      into some_ids, some_rows
      from unnest(starts) as s
      join sluice.idempotency_keys k on k.principal_id = s.principal_id and k.operation = 'startExecution' and k.key = s.key
      where k.subject_id <> s.id;
      if some_ids is not null then
        out_ids := some_ids;
        out_rows := some_rows;
      end if;
    end if;

    -- admission: one at a time per initiator, then a count through the partial index in a later statement
    perform pg_advisory_xact_lock(1396855107, lock) from (
      select distinct hashtext(s.initiator_id::text) as lock
      from unnest(starts) as s
      where s.running_limit is not null order by lock) as locks;
    with asking as materialized (
      select s.id, s.initiator_id, s.running_limit, row_number() over (partition by s.initiator_id order by s.id) as place
      from unnest(starts) as s
      where s.running_limit is not null and s.id <> all (out_ids)
    ), initiators as materialized (
      select a.initiator_id, max(a.running_limit) as most from asking a group by a.initiator_id
    ), running as materialized (
      select i.initiator_id, (select count(*) from (
        select 1 from sluice.executions e
        where e.initiator_id = i.initiator_id and e.ended_at is null and e.parent_id is null limit i.most) as r) as count
      from initiators i
    )
    select array_agg(a.id), jsonb_agg(jsonb_build_object('id', a.id, 'verdict', 'limit'))
    into some_ids, some_rows
    from asking a join running r using (initiator_id) where r.count + a.place > a.running_limit;
    if slots is not null then
      perform sluice.lock_slots(array(select s.flow_id from unnest(slots) as s), array(select s.key from unnest(slots) as s));
      no_slot := sluice.refused_slots(slots, out_ids || coalesce(some_ids, '{}'));
      if cardinality(no_slot) > 0 then
        some_ids := coalesce(some_ids, '{}') || no_slot;
        some_rows := coalesce(some_rows, '[]') || (select jsonb_agg(jsonb_build_object('id', x, 'verdict', 'noSlot')) from unnest(no_slot) as x);
      end if;
    end if;
    if some_ids is not null then
      delete from sluice.idempotency_keys k using unnest(starts) as s
      where s.id = any (some_ids) and k.principal_id = s.principal_id and k.operation = 'startExecution' and k.key = s.key
        and k.subject_id = s.id;
      -- a replay of a start that this very statement refuses is refused with it
      out_rows := (select coalesce(jsonb_agg(case when (x ->> 'subject')::uuid = any (some_ids)
        then jsonb_build_object('id', x -> 'id', 'verdict', case when (x ->> 'subject')::uuid = any (no_slot) then 'noSlot' else 'limit' end)
        else x end), '[]') from jsonb_array_elements(out_rows) as x);
      out_ids := out_ids || some_ids;
      out_rows := out_rows || some_rows;
    end if;
  elsif slots is not null then
    perform sluice.lock_slots(array(select s.flow_id from unnest(slots) as s), array(select s.key from unnest(slots) as s));
  end if;

  if updates is not null then
    select array_agg(x.id), array_agg(x.version), array_agg(x.epoch) into found_ids, found_versions, found_epochs
    from (select e.id, e.version, e.epoch from sluice.executions e
          where e.id = any (ids) order by e.id for no key update skip locked) as x;
    if (found_ids, found_versions, found_epochs) is distinct from (ids, versions, epochs) then
      select array_agg(u.id), jsonb_agg(jsonb_build_object('id', u.id, 'verdict', case when e.id is not null then 'stale'
        when exists (select from sluice.executions x where x.id = u.id) then 'skipped' else 'gone' end))
      into some_ids, some_rows
      from unnest(ids, versions, epochs) as u(id, version, epoch)
      left join unnest(found_ids, found_versions, found_epochs) as e(id, version, epoch) on e.id = u.id
      where e.id is null or e.version <> u.version or e.epoch <> u.epoch;
      if some_ids is not null then
        out_ids := out_ids || some_ids;
        out_rows := out_rows || some_rows;
      end if;
    end if;
  end if;

  if cardinality(out_ids) > 0 then
    ids := array(select x from unnest(ids) as x where x <> all (out_ids));
    starts := array(select x from unnest(starts) as x where x.id <> all (out_ids));
    updates := array(select x from unnest(updates) as x where x.id <> all (out_ids));
    step_runs := array(select x from unnest(step_runs) as x where x.execution_id <> all (out_ids));
    events := array(select x from unnest(events) as x where x.execution_id <> all (out_ids));
    asks := array(select x from unnest(asks) as x where x.execution_id <> all (out_ids));
    closed_asks := array(select x from unnest(closed_asks) as x where x.execution_id <> all (out_ids));
    outputs := array(select x from unnest(outputs) as x where x.execution_id <> all (out_ids));
    reads := array(select x from unnest(reads) as x where x.execution_id <> all (out_ids));
    sends := array(select x from unnest(sends) as x where x.sender_id <> all (out_ids));
    keys := array(select x from unnest(keys) as x where x.execution_id <> all (out_ids));
    waits := array(select x from unnest(waits) as x where x.execution_id <> all (out_ids));
    slots := array(select x from unnest(slots) as x where x.execution_id <> all (out_ids));
    audits := array(select x from unnest(audits) as x where x."of" <> all (out_ids));
  end if;

  if starts is not null then
    insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, parent_id, retry_of, trigger_id, priority, labels, created_at,
      status, version, epoch, owner, wake_at, deadline_at, cancel_reason, pause_reason, seq, last_event_at, mark, state_bytes,
      steps_total, steps_succeeded, steps_failed, steps_skipped, in_flight, started_at, ended_at, reason, error, ending, pool)
    select s.id, s.flow_id, s.flow_version_id, s.initiator_id, s.parent_id, s.retry_of, s.trigger_id, s.priority, s.labels, s.created_at,
      s.status, 1, s.epoch, s.owner, s.wake_at, s.deadline_at, s.cancel_reason, s.pause_reason, s.seq, s.last_event_at, s.mark,
      s.state_bytes, s.steps_total, s.steps_succeeded, s.steps_failed, s.steps_skipped, s.in_flight, s.started_at, s.ended_at,
      s.reason, s.error, s.ending, coalesce(s.pool, 'default')
    from unnest(starts) as s;
    insert into sluice.execution_inputs (execution_id, body)
    select s.id, s.input from unnest(starts) as s;
  end if;

  if updates is not null then
    update sluice.executions e set
      version = u.version + 1, status = u.status, epoch = u.epoch, owner = u.owner, wake_at = u.wake_at,
      deadline_at = u.deadline_at, cancel_reason = u.cancel_reason, pause_reason = u.pause_reason, seq = u.seq,
      last_event_at = u.last_event_at, mark = u.mark, state_bytes = u.state_bytes, steps_succeeded = u.steps_succeeded,
      steps_failed = u.steps_failed, steps_skipped = u.steps_skipped, in_flight = u.in_flight, started_at = u.started_at,
      ended_at = u.ended_at, reason = u.reason, error = u.error, ending = u.ending
    from unnest(updates) as u
    where e.id = u.id;
  end if;

  if step_runs is not null then
    insert into sluice.step_runs
      (execution_id, path, name, type, status, attempt, started_at, finished_at, route, input, output, error)
    select * from unnest(step_runs);
  end if;
  if events is not null then
    insert into sluice.events (execution_id, seq, type, at, step, path, attempt, data)
    select * from unnest(events);
  end if;
  if asks is not null then
    insert into sluice.agent_requests
      (id, execution_id, flow_id, initiator_id, path, attempt, kind, role, subject, body, status, created_at, deadline_at)
    select * from unnest(asks);
  end if;
  if closed_asks is not null then
    update sluice.agent_requests r set status = s.status, decision = s.decision, answer = s.answer, answered_by = s.answered_by,
      answered_at = s.answered_at, version = r.version + 1, changed_xid = pg_current_xact_id()
    from unnest(closed_asks) as s
    where r.id = s.id;
  end if;
  if waits is not null then
    perform sluice.commit_waits(waits);
  end if;
  if outputs is not null then
    insert into sluice.execution_outputs (execution_id, body)
    select * from unnest(outputs);
  end if;
  if reads is not null then
    delete from sluice.inbox i using unnest(reads) as s
    where i.execution_id = s.execution_id and i.key = s.key;
  end if;
  if sends is not null then
    insert into sluice.inbox (execution_id, key, sender_id, kind, body)
    select * from unnest(sends)
    order by 1, 2 on conflict do nothing;
  end if;
  if keys is not null then
    insert into sluice.idempotency_keys (principal_id, operation, key, input_hash, subject_id)
    select s.principal_id, s.operation, s.key, s.input_hash, s.subject_id
    from unnest(keys) as s
    order by 1, 2, 3 on conflict do nothing;
  end if;
  if audits is not null then
    insert into sluice.audit_events (id, at, type, severity, actor_kind, actor_id, flow_id, execution_id, success, duration_ms,
      tokens, error_code, metadata, ip, user_agent, mac)
    select s.id, s.at, s.type, s.severity, s.actor_kind, s.actor_id, s.flow_id, s.execution_id, s.success, s.duration_ms,
      s.tokens, s.error_code, s.metadata, s.ip, s.user_agent, s.mac
    from unnest(audits) as s;
  end if;

  if cardinality(slots) > 0 then
    select s.woken, s.told into woken, told from sluice.commit_slots(slots) as s;
    out_rows := out_rows || jsonb_build_array(jsonb_build_object('verdict', 'slots', 'woken', woken, 'told', told));
  end if;
  -- for feeds of many executions: one row, whatever the size of the batch
  if starts is not null then
    ids := ids || array(select s.id from unnest(starts) as s);
  end if;
  if cardinality(ids) > 0 then
    insert into sluice.commit_log (ids) values (ids);
  end if;

  return query select extract(epoch from clock_timestamp())::double precision * 1000, case when out_rows = '[]' then null else out_rows::json end;
end $$;
