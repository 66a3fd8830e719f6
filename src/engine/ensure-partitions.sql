-- Makes the weekly partitions of step runs and events ahead of their time (src/engine/create-engine.ts calls it): how many were made.
-- A table is made by itself and then attached, which keeps nobody from reading or writing the others; `create table ... partition of`
-- would wait for every transaction that writes, and make all that come later wait behind it.
create or replace function sluice.ensure_partitions(weeks_ahead integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  week timestamptz;
  parent text;
  name text;
  made integer := 0;
begin
  perform pg_advisory_xact_lock(hashtext('sluice.ensure_partitions'));
  for i in -1 .. least(greatest(weeks_ahead, 1), 52) loop
    week := date_trunc('week', now(), 'UTC') + make_interval(weeks => i);
    foreach parent in array array['step_runs', 'events'] loop
      name := parent || to_char(week at time zone 'UTC', '_YYYYMMDD');
      continue when to_regclass(format('sluice.%I', name)) is not null;
      execute format('create table sluice.%I (like sluice.%I including all)', name, parent);
      execute format('alter table sluice.%I attach partition sluice.%I for values from (%L) to (%L)',
        parent, name, sluice.week_start_uuid(week), sluice.week_start_uuid(week + interval '7 days'));
      made := made + 1;
    end loop;
  end loop;
  return made;
end $$;
