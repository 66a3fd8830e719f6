-- Slots (`concurrency` of a definition), the part of a commit that only executions of such flows have (commit.sql calls it when there
-- are any). A slot is a row with an execution: it is asked for with the start, which is stored as one that nobody can claim; handed
-- over by `grant_slots`, which anybody may call at any time; and deleted in the transaction of the end. Nothing is counted but rows.

-- One transaction at a time for each key, in the order of their hashes: whoever locks several never waits in a circle.
create or replace function sluice.lock_slots(flow_ids uuid[], keys text[]) returns void language sql as $$
  select pg_advisory_xact_lock(1936487540, lock) from (
    select distinct hashtext(k.flow_id::text || k.key) as lock from unnest(flow_ids, keys) as k(flow_id, key) order by lock) as locks
$$;

-- Of those that ask, for now, for a slot: the ones that there is neither a slot nor a place in the queue for. After `lock_slots`,
-- in a statement of its own.
create or replace function sluice.refused_slots(slots sluice.slot_row[], refused uuid[]) returns uuid[]
language sql
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
  with asking as materialized (
    select s.execution_id, s.flow_id, s.key, s.most + s.most_queued as room,
      row_number() over (partition by s.flow_id, s.key order by s.execution_id) as place
    from unnest(slots) as s
    where s.kind = 'ask' and s.due_at <= clock_timestamp() and s.execution_id <> all (refused)
  ), keys as materialized (
    select a.flow_id, a.key, max(a.room) as most from asking a group by 1, 2
  ), taken as materialized (
    select k.flow_id, k.key,
      (select count(*) from (select 1 from sluice.slots h
        where h.flow_id = k.flow_id and h.key = k.key and h.held_at is not null limit k.most) as x)
      + (select count(*) from (select 1 from sluice.slots q
        where q.flow_id = k.flow_id and q.key = k.key and q.held_at is null and q.due_at <= clock_timestamp() limit k.most) as x) as count
    from keys k
  )
  select coalesce(array_agg(a.execution_id), '{}')
  from asking a join taken t using (flow_id, key) where t.count + a.place > a.room
$$;

-- Hands free slots to those that wait, by priority and age, and tells the oldest to end where the newest is to take their place.
-- Whoever is held by somebody else at the moment is passed over: the next look finds it. Returns whom it woke, and whom it told.
-- After `lock_slots`.
create or replace function sluice.grant_slots(flow_ids uuid[], keys text[], out woken uuid[], out told uuid[])
language plpgsql
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
begin
  with keyed as materialized (
    select distinct k.flow_id, k.key from unnest(flow_ids, keys) as k(flow_id, key)
  ), heads as materialized (
    select k.flow_id, k.key, n.most from keyed k cross join lateral (
      select q.most from sluice.slots q
      where q.flow_id = k.flow_id and q.key = k.key and q.held_at is null and q.due_at <= clock_timestamp()
      order by q.priority desc, q.execution_id limit 1) as n
  ), rooms as materialized (
    select h.flow_id, h.key, h.most - (select count(*) from (
      select 1 from sluice.slots s where s.flow_id = h.flow_id and s.key = h.key and s.held_at is not null limit h.most) as x) as free
    from heads h
  )
  select coalesce(array_agg(n.id), '{}') into woken
  from rooms r cross join lateral (
    select e.id from sluice.slots q join sluice.executions e on e.id = q.execution_id
    where q.flow_id = r.flow_id and q.key = r.key and q.held_at is null and q.due_at <= clock_timestamp()
      and e.status = 'PENDING' and e.cancel_reason is null
    order by q.priority desc, q.execution_id limit greatest(r.free, 0) for no key update of e skip locked) as n
  where r.free > 0;
  if cardinality(woken) > 0 then
    update sluice.slots s set held_at = clock_timestamp() where s.execution_id = any (woken);
    -- a version more: whoever decided on it before decides again
    update sluice.executions e set wake_at = null, version = e.version + 1 where e.id = any (woken);
  end if;

  told := '{}';
  if not exists (select from unnest(flow_ids, keys) as k(flow_id, key) join sluice.slots q
    on q.flow_id = k.flow_id and q.key = k.key and q.held_at is null where q.cancels_older) then return; end if;
  with keyed as materialized (
    select distinct k.flow_id, k.key from unnest(flow_ids, keys) as k(flow_id, key)
  ), ranked as (
    select s.execution_id, s.most,
      row_number() over newest_first as place,
      first_value(s.execution_id) over newest_first as newest,
      first_value(s.cancels_older) over newest_first as replaces
    from keyed k join sluice.slots s on s.flow_id = k.flow_id and s.key = k.key
    where s.due_at <= clock_timestamp()
    window newest_first as (partition by s.flow_id, s.key order by s.execution_id desc)
  ), words as (
    insert into sluice.inbox (execution_id, key, sender_id, kind, body)
    select e.id, 'replaced', r.newest, 'cancel', '{"reason":"A newer execution took its place."}'
    from ranked r join sluice.executions e on e.id = r.execution_id
    where r.replaces and r.place > r.most and e.cancel_reason is null and e.ended_at is null and e.ending is null
    order by e.id on conflict do nothing returning execution_id
  )
  select coalesce(array_agg(w.execution_id), '{}') into told from words w;
end $$;

-- The same at any other time (src/engine/slot-sweep.ts calls it).
create or replace function sluice.hand_over_slots(flow_ids uuid[], keys text[], out woken uuid[], out told uuid[])
language plpgsql as $$
begin
  perform sluice.lock_slots(flow_ids, keys);
  select g.woken, g.told into woken, told from sluice.grant_slots(flow_ids, keys) as g;
end $$;

-- What a batch of transitions changes: `free` at an end, `ask` at a start, `again` when a start that waited was paused and goes on.
create or replace function sluice.commit_slots(slots sluice.slot_row[], out woken uuid[], out told uuid[])
language plpgsql
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  again uuid[];
begin
  delete from sluice.slots s using unnest(slots) as f where f.kind = 'free' and s.execution_id = f.execution_id;
  insert into sluice.slots (execution_id, flow_id, key, hidden, most, cancels_older, priority, due_at)
  select a.execution_id, a.flow_id, a.key, a.hidden, a.most, a.cancels_older, a.priority, a.due_at
  from unnest(slots) as a where a.kind = 'ask';
  -- how many may run is what the newest that asks says
  update sluice.slots s set most = n.most
  from (select distinct on (a.flow_id, a.key) a.flow_id, a.key, a.most from unnest(slots) as a
    where a.kind = 'ask' order by a.flow_id, a.key, a.execution_id desc) as n
  where s.flow_id = n.flow_id and s.key = n.key and s.held_at is null and s.most <> n.most;
  select g.woken, g.told into woken, told
  from sluice.grant_slots(array(select f.flow_id from unnest(slots) as f), array(select f.key from unnest(slots) as f)) as g;
  -- it had been handed a slot before it was paused
  with held as (
    update sluice.executions e set wake_at = null, version = e.version + 1
    from unnest(slots) as a join sluice.slots s on s.execution_id = a.execution_id
    where a.kind = 'again' and s.held_at is not null and e.id = a.execution_id and e.status = 'PENDING' and e.wake_at is not null
    returning e.id
  )
  select array_agg(h.id) into again from held h;
  woken := woken || coalesce(again, '{}');
end $$;
