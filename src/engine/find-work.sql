-- What there is for a worker of some pools, and when it is to look next (src/engine/find-work.ts calls it). Reads alone, each bounded by an
-- index: workers ask each second, and claim what this says is there. At what is due one of them looks at that moment, another one in each
-- second, and the others when they ask the next time: all at once would claim as often as there are workers, for one to find it.
create or replace function sluice.find_work(worker uuid, pools text[], ready boolean)
returns table (claimable boolean, overdue boolean, steps_wait boolean, is_first boolean, next_at timestamptz)
language plpgsql stable
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
#variable_conflict use_column
declare
  this_second constant bigint := floor(extract(epoch from now()));
  of_pool text;
  due timestamptz;
begin
  claimable := exists (select from sluice.inbox i join sluice.executions x on x.id = i.execution_id
      where x.pool = any (pools) and x.owner is null and x.ended_at is null and (x.wake_at is null or x.wake_at < '9999-12-31Z'))
    or exists (select from sluice.workers w
      where w.expires_at < now() and exists (select from sluice.executions e where e.owner = w.id and e.pool = any (pools)));
  steps_wait := exists (select from sluice.workers w
    where w.expires_at < now() and exists (select from sluice.pooled_steps s where s.owner = w.id and s.pool = any (pools)));

  foreach of_pool in array pools loop
    claimable := claimable or ready and exists (select from sluice.executions e
      where e.owner is null and e.wake_at is null and e.status in ('PENDING', 'RUNNING') and e.pool = of_pool);
    steps_wait := steps_wait or exists (select from sluice.pooled_steps s where s.owner is null and s.pool = of_pool);
    select e.wake_at into due from sluice.executions e
    where e.pool = of_pool and e.wake_at is not null order by e.wake_at limit 1;
    claimable := claimable or coalesce(due <= now(), false);
    next_at := least(next_at, sluice.turn_at(worker, due, of_pool));
  end loop;

  select e.deadline_at into due from sluice.executions e where e.deadline_at is not null order by e.deadline_at limit 1;
  overdue := coalesce(due <= now(), false);
  next_at := least(next_at, sluice.turn_at(worker, due, null));
  is_first := sluice.first_worker(this_second, null) = worker;
  return next;
end $$;

-- Whose turn a second is: of workers of the pool, or of any, that live, rather of one that had room; in another order each second, the same
-- for all who ask.
create or replace function sluice.first_worker(of_second bigint, of_pool text) returns uuid
language sql stable
as $$
  select w.id from sluice.workers w
  where w.expires_at > now() and (of_pool is null or of_pool = any (w.pools))
  order by coalesce(w.held < w.capacity, false) desc, hashtextextended(w.id::text, of_second) limit 1
$$;

-- When the worker is to look at what is due then: at that moment, or when its turn begins; null: not before it asks again.
create or replace function sluice.turn_at(worker uuid, due timestamptz, of_pool text) returns timestamptz
language plpgsql stable
as $$
declare
  this_second constant bigint := floor(extract(epoch from now()));
begin
  if due is null or due <= now() or due >= to_timestamp(this_second + 2) then return null; end if;
  if sluice.first_worker(floor(extract(epoch from due))::bigint, of_pool) = worker then return due; end if;
  if due < to_timestamp(this_second + 1) and sluice.first_worker(this_second + 1, of_pool) = worker then
    return to_timestamp(this_second + 1);
  end if;
  return null;
end $$;
