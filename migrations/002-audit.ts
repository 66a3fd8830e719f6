/** The audit log: rows that can be added and read, and never changed by anyone (C7, D1). */
import { Migration } from '@mikro-orm/migrations'

export class Audit extends Migration {
  override up(): void {
    this.addSql(events)
    this.addSql(immutable)
    this.addSql('grant select, insert on sluice.audit_events to sluice_app')
  }
}

// No foreign keys: what an event tells of may be gone, the event stays. Ids are UUIDv7, so the primary key lists by time.
const events = `
create table sluice.audit_events (
  id uuid not null,
  at timestamptz not null,
  type text not null,
  severity text not null,
  actor_kind text not null,
  actor_id uuid,
  flow_id uuid,
  execution_id uuid,
  success boolean not null,
  duration_ms double precision,
  tokens integer,
  error_code text,
  metadata jsonb,
  ip text,
  user_agent text,
  mac bytea,
  constraint audit_events_pkey primary key (id),
  constraint audit_events_severity_known check (severity in ('INFO', 'NOTICE', 'WARNING', 'CRITICAL')),
  constraint audit_events_actor_kind_known check (actor_kind in ('USER', 'API_KEY', 'AGENT', 'SYSTEM', 'ANONYMOUS')),
  constraint audit_events_metadata_object check (jsonb_typeof(metadata) = 'object')
);
create index audit_events_actor on sluice.audit_events (actor_id, id) where actor_id is not null;
create index audit_events_flow on sluice.audit_events (flow_id, id) where flow_id is not null;
create index audit_events_execution on sluice.audit_events (execution_id, id) where execution_id is not null;
create index audit_events_type on sluice.audit_events (type, id);`

// Missing rights stop the application; this stops the owner's ordinary statements too, and tells why.
const immutable = `
create function sluice.refuse_audit_change() returns trigger language plpgsql as $$
begin
  raise exception 'audit events cannot be changed' using errcode = 'insufficient_privilege';
end $$;
create trigger audit_events_immutable before update or delete or truncate on sluice.audit_events
  for each statement execute function sluice.refuse_audit_change();`
