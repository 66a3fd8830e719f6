-- Removes security events as old as the audit log may become (src/audit/security-watch.ts calls it): of the oldest few, those that are. It
-- runs as the owner and looks at the ages itself; when its window began, nobody who calls it can change. Answers how many went.
create or replace function sluice.remove_security_events(most integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  due timestamptz := now() - (select make_interval(days => r.audit_days) from sluice.retention r);
  gone integer;
begin
  delete from sluice.security_events s
  where s.id in (select x.id from sluice.security_events x order by x.id limit most) and s.window_at < due and s.last_at < due;
  get diagnostics gone = row_count;
  return gone;
end $$;
revoke execute on function sluice.remove_security_events from public;
grant execute on function sluice.remove_security_events to sluice_app;
