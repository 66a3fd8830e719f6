-- Removes what is older than it has to be kept (src/engine/remove-finished.ts calls it), a bounded batch at a time. These functions
-- run as the owner and look at the ages in sluice.retention by PostgreSQL's clock: no caller can make them remove what is younger.
--
-- Each walks an index in the order of time, from `behind` on, and answers how many it removed and where to go on: null = the end.
-- No row: another process is at it.

-- Ages are worth what the times are worth that they are counted from (the triggers are in migrations/012-retention.ts): what has ended
-- does not change, nor does what an execution is. An end of long ago is one that a process says whose clock stood still, or that
-- wants it removed at once: it is now.
create or replace function sluice.refuse_execution_change() returns trigger language plpgsql as $$
begin
  if tg_level = 'ROW' and old.ended_at is null then
    new.ended_at := date_trunc('milliseconds', clock_timestamp());
    return new;
  end if;
  raise exception 'what an execution is, and when it ended, does not change' using errcode = 'SL002', constraint = 'executions_finished';
end $$;

-- Of `seen`, those that ended before `due`, locked: not while a parent, a child or a retry of theirs may still need them. As many as
-- have about `most_rows` events, at least one: an execution may have ten thousand steps.
create or replace function sluice.lock_finished(seen uuid[], due timestamptz, most_rows integer, out ids uuid[], out cut boolean)
language sql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_mergejoin = off set enable_hashjoin = off
as $$
  select coalesce(array_agg(w.id order by w.id) filter (where w.before < most_rows), '{}'), coalesce(bool_or(w.before >= most_rows), false)
  from (select l.id, coalesce(sum(l.seq) over (order by l.id rows between unbounded preceding and 1 preceding), 0) as before
    from (select e.id, e.seq from sluice.executions e
      where e.id = any (seen) and e.ended_at < due
        and not exists (select from sluice.executions p where p.id = e.parent_id and p.ended_at is null)
        and not exists (select from sluice.executions c where c.parent_id = e.id and c.ended_at is null)
        and not exists (select from sluice.executions r where r.retry_of = e.id and r.ended_at is null)
      order by e.id for update of e skip locked) as l) as w
$$;
revoke execute on function sluice.lock_finished from public;

-- What these had, and with `executions` they themselves. False: of a single one there is more than fits into one transaction.
create or replace function sluice.delete_finished(what text, ids uuid[], most_rows integer) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_mergejoin = off set enable_hashjoin = off set enable_bitmapscan = off
as $$
declare
  gone integer;
begin
  -- the first and the last say which partitions these are
  if cardinality(ids) = 1 then
    -- one alone may be too large for one transaction: as much as fits, until nothing is left
    delete from sluice.step_runs s where s.execution_id = ids[1] and s.path = any (array(
      select x.path from sluice.step_runs x where x.execution_id = ids[1] limit most_rows));
    get diagnostics gone = row_count;
    if gone < most_rows and what = 'executions' then
      delete from sluice.events v where v.execution_id = ids[1] and v.seq = any (array(
        select x.seq from sluice.events x where x.execution_id = ids[1] limit most_rows));
      get diagnostics gone = row_count;
    end if;
    if gone = most_rows then return false; end if;
  else
    delete from sluice.step_runs s where s.execution_id = any (ids) and s.execution_id >= ids[1] and s.execution_id <= ids[cardinality(ids)];
    if what = 'executions' then
      delete from sluice.events v where v.execution_id = any (ids) and v.execution_id >= ids[1] and v.execution_id <= ids[cardinality(ids)];
    end if;
  end if;
  delete from sluice.execution_inputs x where x.execution_id = any (ids);
  delete from sluice.execution_outputs x where x.execution_id = any (ids);
  delete from sluice.votes x using sluice.approvals a where a.execution_id = any (ids) and x.request_id = a.request_id;
  delete from sluice.approvers x using sluice.approvals a where a.execution_id = any (ids) and x.request_id = a.request_id;
  delete from sluice.approvals x where x.execution_id = any (ids);
  delete from sluice.signals x where x.execution_id = any (ids);
  delete from sluice.agent_requests x where x.execution_id = any (ids);
  delete from sluice.cached_results x where x.execution_id = any (ids);
  delete from sluice.late_outcomes x where x.execution_id = any (ids);
  if what = 'executions' then
    delete from sluice.inbox x where x.execution_id = any (ids);
    delete from sluice.execution_links x where x.execution_id = any (ids);
    delete from sluice.failures x where x.execution_id = any (ids);
    delete from sluice.repairs x where x.execution_id = any (ids);
    delete from sluice.slots x where x.execution_id = any (ids);
    delete from sluice.execution_origins x where x.execution_id = any (ids);
    delete from sluice.execution_traces x where x.execution_id = any (ids);
    delete from sluice.executions e where e.id = any (ids);
  end if;
  return true;
end $$;
revoke execute on function sluice.delete_finished from public;

-- How long the payloads of a flow are kept that says so: as far as the operator lets flows say it.
create or replace function sluice.payload_days(flow_days integer) returns integer
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when flow_days is null then r.payload_days
    else least(greatest(flow_days, coalesce(r.flow_least_days, r.payload_days)), coalesce(r.flow_most_days, r.payload_days)) end
  from sluice.retention r
$$;

-- `payloads`: inputs, outputs, step runs, agent requests, votes, signals, late outcomes. `executions`: what is left, that is the
-- executions themselves with their events. An execution has its input as long as it has payloads: what was done is not found again.
create or replace function sluice.remove_finished(what text, behind uuid, most integer)
returns table (removed integer, place uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_mergejoin = off set enable_hashjoin = off set enable_bitmapscan = off
as $$
declare
  most_rows constant integer := 20000;
  due timestamptz;
  seen uuid[];
  ids uuid[];
  cut boolean;
  last uuid;
begin
  if what not in ('payloads', 'executions') then raise exception 'nothing is called %', what; end if;
  if not pg_try_advisory_xact_lock(7312022) then return; end if;
  most := least(greatest(most, 1), 1000);
  due := now() - (select make_interval(days => case what when 'payloads' then r.payload_days else r.event_days end) from sluice.retention r);
  if what = 'payloads' then
    seen := array(select i.execution_id from sluice.execution_inputs i
      where i.execution_id > behind and i.execution_id < sluice.week_start_uuid(due) order by i.execution_id limit most);
  else
    seen := array(select e.id from sluice.executions e
      where e.id > behind and e.id < sluice.week_start_uuid(due) order by e.id limit most);
  end if;
  last := case when cardinality(seen) = most then seen[most] end;
  if what = 'payloads' and exists (select from sluice.flows f where f.payload_days is not null) then
    -- flows that keep theirs longer
    seen := array(select e.id from sluice.executions e join sluice.flows f on f.id = e.flow_id
      where e.id = any (seen) and e.ended_at < now() - make_interval(days => sluice.payload_days(f.payload_days)));
  end if;
  select f.ids, f.cut into ids, cut from sluice.lock_finished(seen, due, most_rows) as f;
  place := case when cut then ids[cardinality(ids)] else last end;
  removed := cardinality(ids);
  if removed = 0 then return next; return; end if;

  if not sluice.delete_finished(what, ids, most_rows) then
    removed := 0;
    place := behind;
  end if;
  return next;
end $$;

-- Payloads of flows that keep theirs shorter than others do: flow by flow, in the order of their executions; `behind` is the flow before.
-- What is not finished yet is passed by, and found again as long as it is there; up to where nothing is left is remembered.
create or replace function sluice.remove_flow_payloads(behind uuid, most integer)
returns table (removed integer, place uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_mergejoin = off set enable_hashjoin = off set enable_bitmapscan = off
as $$
declare
  most_rows constant integer := 20000;
  flow record;
  due timestamptz;
  seen uuid[];
  ids uuid[];
  cut boolean;
  kept uuid;
begin
  if not pg_try_advisory_xact_lock(7312022) then return; end if;
  most := least(greatest(most, 1), 1000);
  select f.id, sluice.payload_days(f.payload_days) as days, f.payloads_removed into flow
  from sluice.flows f, sluice.retention r
  where f.payload_days is not null and f.id > behind and sluice.payload_days(f.payload_days) < r.payload_days
  order by f.id limit 1;
  removed := 0;
  if not found then return next; return; end if;
  due := now() - make_interval(days => flow.days);
  seen := array(select e.id from sluice.executions e join sluice.execution_inputs i on i.execution_id = e.id
    where e.flow_id = flow.id and e.id > coalesce(flow.payloads_removed, '00000000-0000-0000-0000-000000000000')
      and e.id < sluice.week_start_uuid(due) order by e.id limit most);
  select f.ids, f.cut into ids, cut from sluice.lock_finished(seen, due, most_rows) as f;
  if cardinality(ids) > 0 then
    if not sluice.delete_finished('payloads', ids, most_rows) then
      place := behind;
      return next;
      return;
    end if;
    removed := cardinality(ids);
  end if;
  kept := (select x from unnest(seen) as x where x <> all (ids) order by x limit 1);
  update sluice.flows f set payloads_removed = x.id
  from (select s as id from unnest(seen) as s where kept is null or s < kept order by s desc limit 1) as x where f.id = flow.id;
  place := case when removed > 0 and (cut or cardinality(seen) = most) then behind else flow.id end;
  return next;
end $$;

-- Idempotency keys (E2): as long as what they started goes on, and their time after it; never longer than its payloads.
create or replace function sluice.remove_idempotency_keys(behind timestamptz, most integer)
returns table (removed integer, place timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_mergejoin = off set enable_hashjoin = off set enable_bitmapscan = off
as $$
declare
  due timestamptz;
  last timestamptz;
begin
  if not pg_try_advisory_xact_lock(7312023) then return; end if;
  most := least(greatest(most, 1), 10000);
  due := now() - (select least(make_interval(hours => r.key_hours), make_interval(days => r.payload_days)) from sluice.retention r);
  last := (select k.created_at from sluice.idempotency_keys k
    where k.created_at > behind and k.created_at < due order by k.created_at offset most - 1 limit 1);
  delete from sluice.idempotency_keys k
  where k.created_at > behind and k.created_at < due and (last is null or k.created_at <= last)
    and not exists (select from sluice.executions e where e.id = k.subject_id and (e.ended_at is null or e.ended_at >= due));
  get diagnostics removed = row_count;
  place := last;
  return next;
end $$;

-- Drops one week of step runs or of events whose executions are all gone: its name, or null. It waits for nobody: the lock that it
-- needs for a moment is one that all commits would queue behind.
create or replace function sluice.drop_partition() returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
set lock_timeout = '50ms'
as $$
declare
  ages sluice.retention;
  partition record;
  lowest uuid;
  beyond uuid;
begin
  select * into ages from sluice.retention;
  for partition in
    select c.relname as name, p.relname as parent, to_timestamp(right(c.relname, 8) || '+00', 'YYYYMMDDTZH') as week
    from pg_inherits h join pg_class c on c.oid = h.inhrelid join pg_class p on p.oid = h.inhparent
    where p.relnamespace = 'sluice'::regnamespace and p.relname in ('step_runs', 'events') order by 1
  loop
    continue when partition.week + interval '7 days' >
      now() - make_interval(days => case partition.parent when 'events' then ages.event_days else ages.payload_days end);
    lowest := sluice.week_start_uuid(partition.week);
    beyond := sluice.week_start_uuid(partition.week + interval '7 days');
    continue when exists (select from sluice.execution_inputs i where i.execution_id >= lowest and i.execution_id < beyond);
    continue when partition.parent = 'events' and exists (select from sluice.executions e where e.id >= lowest and e.id < beyond);
    execute format('drop table sluice.%I', partition.name);
    return partition.name;
  end loop;
  return null;
exception when lock_not_available then
  return null;
end $$;

revoke execute on function sluice.remove_finished, sluice.remove_flow_payloads, sluice.remove_idempotency_keys, sluice.drop_partition
  from public;
grant execute on function sluice.remove_finished, sluice.remove_flow_payloads, sluice.remove_idempotency_keys, sluice.drop_partition
  to sluice_app;
