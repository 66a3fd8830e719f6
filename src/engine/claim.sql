-- Claims executions of one pool for a worker (src/engine/claim.ts calls it): due sleepers, unread inboxes, executions of workers whose lease
-- is over, then ready ones by an index walk over initiators, a share each, by priority and age. Every look is bounded by what
-- is asked for; nothing sorts, nothing scans, whatever the statistics say. Not `ready`: those ready ones are left alone.
-- `place`, the same in each row: where the walk stands, and the next one goes on; as it was when there was no walk.
create or replace function sluice.claim_next(worker uuid, wanted integer, after_initiator uuid, ready boolean default true,
  of_pool text default 'default')
returns table (id uuid, initiator_id uuid, place uuid)
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
#variable_conflict use_column
declare
  nobody constant uuid := '00000000-0000-0000-0000-000000000000';
  got uuid[] := '{}';
  found_ids uuid[];
  dead uuid;
  initiator uuid;
  share integer := greatest(wanted / 4, 1);
  visits integer := 0;
  wrapped boolean := false;
begin
  place := coalesce(after_initiator, nobody);
  -- a worker whose lease is over claims nothing, so that nobody takes over from it what it has just taken
  perform 1 from sluice.workers w where w.id = worker and w.expires_at > clock_timestamp() for key share;
  if not found then return; end if;

  got := array(select e.id from sluice.executions e where e.pool = of_pool and e.wake_at <= now()
    order by e.wake_at limit wanted for no key update skip locked);

  if cardinality(got) < wanted then
    got := got || array(
      select e.id from sluice.executions e
      where e.id = any (array(select i.execution_id from sluice.inbox i join sluice.executions x on x.id = i.execution_id
          -- whoever waits for a slot is not claimed with one word more: the sweep of slots looks at it
          where x.pool = of_pool and x.owner is null and x.ended_at is null and (x.wake_at is null or x.wake_at < '9999-12-31Z') limit 256)) and e.id <> all (got)
        and e.owner is null and e.ended_at is null
      limit wanted - cardinality(got) for no key update skip locked);
  end if;

  for dead in select w.id from sluice.workers w
    where w.expires_at < now() and exists (select 1 from sluice.executions e where e.owner = w.id and e.pool = of_pool) limit 8 loop
    exit when cardinality(got) >= wanted;
    found_ids := array(select e.id from sluice.executions e where e.owner = dead and e.pool = of_pool and e.id <> all (got)
      limit wanted - cardinality(got) for no key update skip locked);
    got := got || found_ids;
  end loop;
  -- long after: a commit of theirs may still be on its way, and what it stores must be found as theirs
  delete from sluice.workers w where w.id in (
    select x.id from sluice.workers x
    where x.expires_at < now() - interval '1 hour' and not exists (select 1 from sluice.executions e where e.owner = x.id)
      and not exists (select 1 from sluice.pooled_steps s where s.owner = x.id)
    limit 8 for update skip locked);

  while ready and cardinality(got) < wanted and visits < 64 loop
    select e.initiator_id into initiator from sluice.executions e
    where e.owner is null and e.wake_at is null and e.status in ('PENDING', 'RUNNING') and e.pool = of_pool
      and e.initiator_id > place
    order by e.initiator_id limit 1;
    if not found then
      exit when wrapped and share >= wanted;
      if wrapped then share := wanted; end if; -- second time round: whatever is left
      wrapped := true;
      exit when place = nobody and visits = 0;
      place := nobody;
      continue;
    end if;
    visits := visits + 1;
    place := initiator;
    got := got || array(
      select e.id from sluice.executions e
      where e.owner is null and e.wake_at is null and e.status in ('PENDING', 'RUNNING') and e.pool = of_pool
        and e.initiator_id = initiator and e.id <> all (got)
      order by e.priority desc, e.id limit least(share, wanted - cardinality(got)) for no key update skip locked);
  end loop;

  return query
    update sluice.executions e set owner = worker, epoch = e.epoch + 1, status = 'RUNNING', wake_at = null
    where e.id = any (got) returning e.id, e.initiator_id, place;
end $$;

-- For workers of the release before.
create or replace function sluice.claim_executions(worker uuid, wanted integer, after_initiator uuid, ready boolean default true,
  of_pool text default 'default')
returns table (id uuid, initiator_id uuid)
language sql
as $$ select id, initiator_id from sluice.claim_next(worker, wanted, after_initiator, ready, of_pool) $$;

-- Claims those of `ids` that are ready, or were told something. Each is looked up by its primary key: no condition fits another index.
create or replace function sluice.claim_offered(worker uuid, ids uuid[], pools text[] default null)
returns table (id uuid, initiator_id uuid)
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
#variable_conflict use_column
declare
  nobody constant uuid := '00000000-0000-0000-0000-000000000000';
  got uuid[];
begin
  perform 1 from sluice.workers w where w.id = worker and w.expires_at > clock_timestamp() for key share;
  if not found then return; end if;

  got := array(
    select x.id from (select distinct i from unnest(ids) as i order by i) as offered (id)
    cross join lateral (
      select e.id from sluice.executions e
      where e.id = offered.id and coalesce(e.owner, nobody) = nobody and (pools is null or e.pool || '' = any (pools))
        and (coalesce(e.wake_at, '-infinity') = '-infinity' and e.status || '' in ('PENDING', 'RUNNING')
          or coalesce(e.wake_at, '-infinity') < '9999-12-31Z' and coalesce(e.ended_at, 'infinity') = 'infinity'
            and exists (select from sluice.inbox i where i.execution_id = offered.id))
      for no key update skip locked) as x);

  return query
    update sluice.executions e set owner = worker, epoch = e.epoch + 1, status = 'RUNNING', wake_at = null
    where e.id = any (got) returning e.id, e.initiator_id;
end $$;
