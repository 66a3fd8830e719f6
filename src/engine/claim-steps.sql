-- Claims steps of one pool for a worker (src/engine/claim-steps.ts calls it): those of workers whose lease is over, then those that wait,
-- by an index walk over initiators as in claim.sql.
create or replace function sluice.claim_steps(worker uuid, wanted integer, after_initiator uuid, of_pool text)
returns table (execution_id uuid, path text, attempt integer, epoch integer, initiator_id uuid)
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
  taken integer := 0;
  found_count integer;
  dead uuid;
  initiator uuid;
  place uuid := coalesce(after_initiator, nobody);
  share integer := greatest(wanted / 4, 1);
  visits integer := 0;
  wrapped boolean := false;
begin
  perform 1 from sluice.workers w where w.id = worker and w.expires_at > clock_timestamp() for key share;
  if not found then return; end if;

  for dead in select w.id from sluice.workers w
    where w.expires_at < now() and exists (select 1 from sluice.pooled_steps s where s.owner = w.id and s.pool = of_pool) limit 8 loop
    exit when taken >= wanted;
    return query
      with picked as materialized (select x.execution_id, x.path from sluice.pooled_steps x
        where x.owner = dead and x.pool = of_pool limit wanted - taken for no key update skip locked)
      update sluice.pooled_steps s set owner = worker, epoch = s.epoch + 1
      from picked where s.execution_id = picked.execution_id and s.path = picked.path
      returning s.execution_id, s.path, s.attempt, s.epoch, s.initiator_id;
    get diagnostics found_count = row_count;
    taken := taken + found_count;
  end loop;

  while taken < wanted and visits < 64 loop
    select s.initiator_id into initiator from sluice.pooled_steps s
    where s.owner is null and s.pool = of_pool and s.initiator_id > place order by s.initiator_id limit 1;
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
    return query
      with picked as materialized (select x.execution_id, x.path from sluice.pooled_steps x
        where x.owner is null and x.pool = of_pool and x.initiator_id = initiator
        order by x.priority desc, x.execution_id, x.path limit least(share, wanted - taken) for no key update skip locked)
      update sluice.pooled_steps s set owner = worker, epoch = s.epoch + 1
      from picked where s.execution_id = picked.execution_id and s.path = picked.path
      returning s.execution_id, s.path, s.attempt, s.epoch, s.initiator_id;
    get diagnostics found_count = row_count;
    taken := taken + found_count;
  end loop;
end $$;
