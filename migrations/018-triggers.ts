/** What starts flows besides calls: the triggers of their newest versions, and which of them an execution came from. */
import { Migration } from '@mikro-orm/migrations'

export class Triggers extends Migration {
  override up(): void {
    this.addSql(triggers)
    this.addSql(executions)
    this.addSql('grant select, insert, update, delete on sluice.triggers to sluice_app')
  }
}

// What a new version does not have any more stays, with `removed_at`: its executions tell what started them. Of a name there is one
// that is not removed; its id, and so what is kept about it, lives as long as its name and type.
const triggers = `
create table sluice.triggers (
  id uuid not null,
  flow_id uuid not null,
  name text not null,
  type text not null,
  definition json not null,
  published_by uuid not null,
  version integer not null default 1,
  created_at timestamptz(3) not null default now(),
  changed_at timestamptz(3) not null default now(),
  removed_at timestamptz(3),
  constraint triggers_pkey primary key (id),
  constraint triggers_flow_fkey foreign key (flow_id) references sluice.flows (id),
  constraint triggers_name_shape check (name ~ '^[A-Za-z0-9_]{1,64}$'),
  constraint triggers_type_known check (type in ('pattern', 'schedule', 'webhook')),
  constraint triggers_version_positive check (version >= 1)
);
create unique index triggers_name_key on sluice.triggers (flow_id, name) where removed_at is null;
create index triggers_changed on sluice.triggers (type, changed_at);`

// The row of 016 with one column more.
const executions = `
alter table sluice.executions add column trigger_id uuid;
create index executions_trigger on sluice.executions (trigger_id, id) where trigger_id is not null;
create type sluice.start_row_18 as (id uuid, flow_id uuid, flow_version_id uuid, initiator_id uuid, parent_id uuid, retry_of uuid,
  trigger_id uuid, priority smallint, labels jsonb, created_at timestamptz, steps_total smallint, status text, epoch integer,
  owner uuid, wake_at timestamptz, deadline_at timestamptz, cancel_reason text, pause_reason text, seq integer,
  last_event_at timestamptz, mark bigint, state_bytes integer, steps_succeeded smallint, steps_failed smallint,
  steps_skipped smallint, in_flight jsonb, started_at timestamptz, ended_at timestamptz, reason text, error jsonb, ending text,
  input json, running_limit integer, principal_id uuid, key text, input_hash bytea);`
