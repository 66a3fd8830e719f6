/** The engine's tables: flows and their versions, executions, step runs, events, agent requests, workers. */
import { Migration } from '@mikro-orm/migrations'

export class Engine extends Migration {
  override up(): void {
    this.addSql(flows)
    this.addSql(executions)
    this.addSql(transitions)
    this.addSql(history)
    this.addSql(partitions)
    this.addSql(surroundings)
    this.addSql(rights)
  }
}

const flows = `
create table sluice.flows (
  id uuid primary key,
  owner_id uuid not null,
  name text not null,
  description text,
  visibility text not null default 'PRIVATE',
  latest_number integer not null default 1,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint flows_owner_name_key unique (owner_id, name),
  constraint flows_name_length check (char_length(name) between 1 and 100),
  constraint flows_description_length check (char_length(description) <= 500),
  constraint flows_visibility_known check (visibility in ('PRIVATE', 'PUBLIC'))
);
create index flows_name on sluice.flows (name);
create index flows_owner on sluice.flows (owner_id, id);
create index flows_public on sluice.flows (id) where visibility = 'PUBLIC';

create table sluice.flow_versions (
  id uuid primary key,
  flow_id uuid not null,
  number integer not null,
  definition json not null,
  created_by uuid not null,
  created_at timestamptz not null default now(),
  constraint flow_versions_flow_fkey foreign key (flow_id) references sluice.flows (id),
  constraint flow_versions_number_key unique (flow_id, number),
  constraint flow_versions_number_positive check (number >= 1)
);`

// Narrow and half empty on purpose: while an execution is held, its updates stay on the page (HOT).
const executions = `
create table sluice.executions (
  id uuid primary key,
  flow_id uuid not null,
  flow_version_id uuid not null,
  initiator_id uuid not null,
  parent_id uuid,
  retry_of uuid,
  priority smallint not null default 0,
  status text not null,
  version integer not null default 1,
  epoch integer not null default 0,
  owner uuid,
  wake_at timestamptz,
  deadline_at timestamptz,
  cancel_reason text,
  pause_reason text,
  seq integer not null default 0,
  last_event_at timestamptz not null,
  mark bigint not null default 0,
  state_bytes integer not null,
  steps_total smallint not null,
  steps_succeeded smallint not null default 0,
  steps_failed smallint not null default 0,
  steps_skipped smallint not null default 0,
  in_flight jsonb not null default '[]',
  labels jsonb,
  created_at timestamptz not null,
  started_at timestamptz,
  ended_at timestamptz,
  reason text,
  error jsonb,
  constraint executions_status_known check
    (status in ('PENDING', 'RUNNING', 'WAITING', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT')),
  constraint executions_ended check
    ((ended_at is not null) = (status in ('SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT'))),
  constraint executions_ended_is_idle check
    (ended_at is null or (owner is null and wake_at is null and deadline_at is null and in_flight = '[]')),
  constraint executions_only_running_is_owned check (owner is null or (status = 'RUNNING' and wake_at is null)),
  constraint executions_failed_has_error check (status <> 'FAILED' or error is not null),
  constraint executions_started check (status <> 'WAITING' or started_at is not null),
  constraint executions_counts check (version >= 1 and epoch >= 0 and seq >= 0 and state_bytes between 0 and 1000000)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index executions_flow on sluice.executions (flow_id, id);
create index executions_initiator on sluice.executions (initiator_id, id);
create index executions_status on sluice.executions (status, id);
create index executions_labels on sluice.executions using gin (labels jsonb_path_ops) where labels is not null;
create index executions_active on sluice.executions (initiator_id) where ended_at is null and parent_id is null;
create index executions_children on sluice.executions (parent_id) where parent_id is not null;
create index executions_ready on sluice.executions (initiator_id, priority desc, id)
  where owner is null and wake_at is null and status in ('PENDING', 'RUNNING');
create index executions_sleeping on sluice.executions (wake_at) where wake_at is not null;
create index executions_held on sluice.executions (owner) where owner is not null;
create index executions_deadline on sluice.executions (deadline_at) where deadline_at is not null;

create table sluice.execution_inputs (
  execution_id uuid primary key,
  body json not null
);
create table sluice.execution_outputs (
  execution_id uuid primary key,
  body json not null
);`

// The same table as EXECUTION_TRANSITIONS in src/engine/states.ts.
const transitions = `
create function sluice.check_execution_transition() returns trigger language plpgsql as $$
begin
  if not (case old.status
    when 'PENDING' then new.status in ('RUNNING', 'PAUSED', 'FAILED', 'CANCELED', 'TIMED_OUT')
    when 'RUNNING' then new.status in ('WAITING', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT')
    when 'WAITING' then new.status in ('RUNNING', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT')
    when 'PAUSED' then new.status in ('PENDING', 'RUNNING', 'WAITING', 'SUCCEEDED', 'FAILED', 'CANCELED', 'TIMED_OUT')
    else false end) then
    raise exception 'execution % cannot go from % to %', old.id, old.status, new.status
      using errcode = 'SL001', constraint = 'executions_transition';
  end if;
  return new;
end $$;
create trigger executions_transition before update of status on sluice.executions
  for each row when (old.status is distinct from new.status) execute function sluice.check_execution_transition();`

// No foreign keys; a partition is a range of UUIDv7, that is, of time.
const history = `
create table sluice.step_runs (
  execution_id uuid not null,
  path text not null,
  name text not null,
  type text not null,
  status text not null,
  attempt integer not null,
  started_at timestamptz,
  finished_at timestamptz not null,
  route text,
  input json,
  output json,
  error json,
  constraint step_runs_pkey primary key (execution_id, path),
  constraint step_runs_status_known check (status in ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED')),
  constraint step_runs_failed_has_error check ((status = 'FAILED') = (error is not null)),
  constraint step_runs_only_success_has_output check (status = 'SUCCEEDED' or output is null)
) partition by range (execution_id);

create table sluice.events (
  execution_id uuid not null,
  seq integer not null,
  type text not null,
  at timestamptz not null,
  step text,
  path text,
  attempt integer,
  data json,
  constraint events_pkey primary key (execution_id, seq),
  constraint events_seq_positive check (seq >= 1),
  constraint events_data_size check (octet_length(data::text) <= 8192)
) partition by range (execution_id);`

// Weekly, created ahead at every start and by the maintenance loop; a UUIDv7 begins with 48 bits of milliseconds.
const partitions = `
create function sluice.week_start_uuid(week timestamptz) returns uuid immutable strict language sql as $$
  select (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-0000-0000-000000000000')::uuid
  from (select lpad(to_hex((extract(epoch from week) * 1000)::bigint), 12, '0') as h) as x
$$;
create function sluice.ensure_partitions(weeks_ahead integer) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  week timestamptz;
  parent text;
  made integer := 0;
begin
  perform pg_advisory_xact_lock(hashtext('sluice.ensure_partitions'));
  for i in -1 .. least(greatest(weeks_ahead, 1), 52) loop
    week := date_trunc('week', now(), 'UTC') + make_interval(weeks => i);
    foreach parent in array array['step_runs', 'events'] loop
      if to_regclass(format('sluice.%I', parent || to_char(week at time zone 'UTC', '_YYYYMMDD'))) is null then
        execute format('create table sluice.%I partition of sluice.%I for values from (%L) to (%L)',
          parent || to_char(week at time zone 'UTC', '_YYYYMMDD'), parent,
          sluice.week_start_uuid(week), sluice.week_start_uuid(week + interval '7 days'));
        made := made + 1;
      end if;
    end loop;
  end loop;
  return made;
end $$;
select sluice.ensure_partitions(4);`

const surroundings = `
create table sluice.agent_requests (
  id uuid primary key,
  execution_id uuid not null,
  flow_id uuid not null,
  initiator_id uuid not null,
  path text not null,
  attempt integer not null,
  kind text not null,
  role text not null,
  subject text not null,
  body json,
  status text not null,
  created_at timestamptz not null,
  deadline_at timestamptz,
  decision text,
  answer json,
  answered_by uuid,
  answered_at timestamptz,
  version integer not null default 1,
  constraint agent_requests_kind_known check (kind in ('REQUEST', 'NOTICE')),
  constraint agent_requests_status_known check (status in ('OPEN', 'ANSWERED', 'EXPIRED', 'CANCELED', 'DELIVERED')),
  constraint agent_requests_decision_known check (decision in ('APPROVE', 'REJECT', 'ANSWER')),
  constraint agent_requests_answered check
    ((status = 'ANSWERED') = (decision is not null) and (status = 'ANSWERED') = (answered_at is not null)),
  constraint agent_requests_notice check ((kind = 'NOTICE') = (status = 'DELIVERED'))
) with (fillfactor = 80);
create index agent_requests_execution on sluice.agent_requests (execution_id, id);
create index agent_requests_status on sluice.agent_requests (status, id);
create index agent_requests_role on sluice.agent_requests (role, status, id);
create index agent_requests_initiator on sluice.agent_requests (initiator_id, status, id);
create index agent_requests_flow on sluice.agent_requests (flow_id, status, id);

-- words of one execution to another; a row is deleted by the transition that reads it
create table sluice.inbox (
  execution_id uuid not null,
  key text not null,
  sender_id uuid,
  kind text not null,
  body json not null,
  sent_at timestamptz not null default clock_timestamp(),
  constraint inbox_pkey primary key (execution_id, key),
  constraint inbox_body_size check (octet_length(body::text) <= 1000000)
);

-- outcomes that came after the end of their execution: kept for whoever asks, they change nothing
create table sluice.late_outcomes (
  execution_id uuid not null,
  path text not null,
  attempt integer not null,
  epoch integer not null,
  outcome json not null,
  at timestamptz not null default clock_timestamp(),
  constraint late_outcomes_pkey primary key (execution_id, path, attempt, epoch)
);

create table sluice.idempotency_keys (
  principal_id uuid not null,
  operation text not null,
  key text not null,
  input_hash bytea not null,
  subject_id uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint idempotency_keys_pkey primary key (principal_id, operation, key)
);

create table sluice.workers (
  id uuid primary key,
  started_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);`

const rights = `
grant select, insert, update, delete on
  sluice.flows, sluice.flow_versions, sluice.executions, sluice.execution_inputs, sluice.execution_outputs, sluice.step_runs,
  sluice.events, sluice.agent_requests, sluice.inbox, sluice.late_outcomes, sluice.idempotency_keys, sluice.workers to sluice_app;
grant execute on function sluice.ensure_partitions(integer) to sluice_app;`
