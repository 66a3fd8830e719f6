-- Removes the oldest part of the audit log, up to a seal and with it (src/audit/shorten-audit.ts calls it), and leaves the signed
-- checkpoint from which the chain goes on: both or neither. It runs as the owner and looks at the ages itself: neither seals nor rows
-- that are younger than sluice.retention says go, whoever asks, and never the newest seal. How many rows went; no answer: another
-- process has been there, and the log begins behind another seal than `expected`.
create or replace function sluice.remove_audit_prefix(expected bigint, through bigint, events_ever bigint, made timestamptz, signature bytea)
returns setof integer
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  due timestamptz;
  last sluice.audit_seals;
  gone integer;
begin
  perform pg_advisory_xact_lock(7312024);
  if expected <> coalesce((select max(c.position) from sluice.audit_checkpoints c), 0) then return; end if;
  due := now() - (select make_interval(days => r.audit_days) from sluice.retention r);
  select * into last from sluice.audit_seals s
  where s.position = through and s.sealed_at < due and s.position < (select max(x.position) from sluice.audit_seals x);
  if not found or through <= expected
    or exists (select from sluice.audit_events e
      where (e.xid, e.id) <= (last.last_xid, last.ids[cardinality(last.ids)]) and e.at >= due) then
    raise exception 'what is not old enough stays in the audit log' using errcode = 'insufficient_privilege';
  end if;
  perform set_config('sluice.audit_retention', pg_current_xact_id()::text, true);
  -- a security event has the id of the row that says the same, and goes with it
  delete from sluice.security_events s where s.id in (
    select e.id from sluice.audit_events e where (e.xid, e.id) <= (last.last_xid, last.ids[cardinality(last.ids)]));
  delete from sluice.audit_events e where (e.xid, e.id) <= (last.last_xid, last.ids[cardinality(last.ids)]);
  get diagnostics gone = row_count;
  delete from sluice.audit_seals s where s.position <= through;
  delete from sluice.audit_checkpoints;
  perform set_config('sluice.audit_retention', '', true);
  insert into sluice.audit_checkpoints (position, last_id, last_xid, hash, sealed_at, events, made_at, signature)
  values (through, last.ids[cardinality(last.ids)], last.last_xid, last.hash, last.sealed_at, events_ever, made, signature);
  return next gone;
end $$;
revoke execute on function sluice.remove_audit_prefix from public;
grant execute on function sluice.remove_audit_prefix to sluice_app;
