-- Forgets which commit changed what, an hour after it (src/engine/trim-commit-log.ts calls it): at most `most` rows, how many it were.
-- The newest of the old ones stays: who has a cursor before it has missed something.
create or replace function sluice.trim_commit_log(most integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  last xid8;
  gone integer;
begin
  last := (select o.xid from (select l.xid, l.at from sluice.commit_log l order by l.xid limit least(greatest(most, 1), 10000)) as o
    where o.at < now() - interval '1 hour' order by o.xid desc limit 1);
  -- what a restore brought from a database that had counted further
  delete from sluice.commit_log l where l.xid >= pg_snapshot_xmax(pg_current_snapshot());
  delete from sluice.commit_log l where l.xid < last;
  get diagnostics gone = row_count;
  return gone;
end $$;
revoke execute on function sluice.trim_commit_log from public;
grant execute on function sluice.trim_commit_log to sluice_app;
