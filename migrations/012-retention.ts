/**
 * How long things are kept (B10, A11, E2), and that nobody but the owner's functions removes them: src/engine/remove-finished.sql and
 * src/audit/remove-audit-prefix.sql look at these ages themselves, whatever the application asks for.
 */
import { Migration } from '@mikro-orm/migrations'

export class Retention extends Migration {
  override up(): void {
    this.addSql(ages)
    this.addSql(finished)
    this.addSql(keys)
    this.addSql(checkpoints)
    this.addSql(indexes)
    this.addSql(rights)
  }
}

// One row, written by whoever migrates from what is configured; the application may read it.
const ages = `
create table sluice.retention (
  singleton boolean not null default true,
  payload_days integer not null default 30,
  event_days integer not null default 90,
  audit_days integer not null default 365,
  key_hours integer not null default 24,
  constraint retention_pkey primary key (singleton),
  constraint retention_is_one_row check (singleton),
  constraint retention_least check
    (payload_days >= 1 and event_days >= payload_days and audit_days >= 30 and key_hours >= 24)
);
insert into sluice.retention default values;`

// An age is worth what the time is worth that it is counted from: whoever may write rows must not be able to make one old.
const finished = `
create function sluice.refuse_execution_change() returns trigger language plpgsql as $$
begin
  raise exception 'what an execution is, and when it ended, does not change' using errcode = 'SL002', constraint = 'executions_finished';
end $$;
create trigger executions_finished before update on sluice.executions for each row
  when (old.ended_at is not null or new.ended_at < now() - interval '1 day') execute function sluice.refuse_execution_change();
create trigger executions_identity before update of id, flow_id, flow_version_id, initiator_id, parent_id, retry_of, created_at
  on sluice.executions for each statement execute function sluice.refuse_execution_change();`

// The commit function takes a key back only in the transaction that inserted it, when its start is refused.
const keys = `
create function sluice.refuse_key_removal() returns trigger language plpgsql as $$
begin
  raise exception 'an idempotency key is kept for a day' using errcode = 'insufficient_privilege';
end $$;
create trigger idempotency_keys_kept before delete on sluice.idempotency_keys for each row
  when (old.created_at < now() and old.created_at > now() - interval '24 hours') execute function sluice.refuse_key_removal();
create index idempotency_keys_age on sluice.idempotency_keys (created_at);`

// Where the audit log begins since its oldest part was removed: the last seal that is gone, signed with the audit key. One row.
const checkpoints = `
create table sluice.audit_checkpoints (
  position bigint not null,
  last_id uuid not null,
  last_xid xid8 not null,
  hash bytea not null,
  sealed_at timestamptz not null,
  events bigint not null,
  made_at timestamptz not null,
  signature bytea not null,
  constraint audit_checkpoints_pkey primary key (position),
  constraint audit_checkpoints_position_positive check (position >= 1),
  constraint audit_checkpoints_signature_length check (octet_length(hash) = 36 and octet_length(signature) = 36)
);
create trigger audit_checkpoints_immutable before update or delete or truncate on sluice.audit_checkpoints
  for each statement execute function sluice.refuse_audit_change();
create or replace function sluice.refuse_audit_change() returns trigger language plpgsql as $$
begin
  -- set by sluice.remove_audit_prefix alone; to set it gives nobody the right to delete
  if tg_op = 'DELETE' and current_setting('sluice.audit_retention', true) = pg_current_xact_id()::text then return null; end if;
  raise exception 'audit events cannot be changed' using errcode = 'insufficient_privilege';
end $$;`

const indexes = `
create index executions_retries on sluice.executions (retry_of) where retry_of is not null;`

const rights = `
revoke delete on sluice.executions, sluice.execution_inputs, sluice.execution_outputs, sluice.step_runs, sluice.events,
  sluice.agent_requests, sluice.late_outcomes from sluice_app;
revoke update on sluice.execution_inputs, sluice.execution_outputs, sluice.step_runs, sluice.events, sluice.late_outcomes,
  sluice.idempotency_keys from sluice_app;
grant select on sluice.retention, sluice.audit_checkpoints to sluice_app;`
