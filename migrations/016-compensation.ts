/** An execution that ends badly undoes what it did first: how it will end stands in its row until it has, so that any worker goes on. */
import { Migration } from '@mikro-orm/migrations'

export class Compensation extends Migration {
  override up(): void {
    this.addSql(ending)
    this.addSql(types)
  }
}

const ending = `
alter table sluice.executions add column ending text,
  add constraint executions_ending_known check (ending in ('FAILED', 'CANCELED', 'TIMED_OUT')),
  add constraint executions_ending check
    (ending is null or (ended_at is null and reason is not null and status in ('RUNNING', 'WAITING')));`

// The rows of 008 with one column more: processes of the release before go on with theirs.
const types = `
create type sluice.start_row_16 as (id uuid, flow_id uuid, flow_version_id uuid, initiator_id uuid, parent_id uuid, retry_of uuid,
  priority smallint, labels jsonb, created_at timestamptz, steps_total smallint, status text, epoch integer, owner uuid,
  wake_at timestamptz, deadline_at timestamptz, cancel_reason text, pause_reason text, seq integer, last_event_at timestamptz,
  mark bigint, state_bytes integer, steps_succeeded smallint, steps_failed smallint, steps_skipped smallint, in_flight jsonb,
  started_at timestamptz, ended_at timestamptz, reason text, error jsonb, ending text, input json, running_limit integer,
  principal_id uuid, key text, input_hash bytea);
create type sluice.update_row_16 as (id uuid, version integer, status text, epoch integer, owner uuid, wake_at timestamptz,
  deadline_at timestamptz, cancel_reason text, pause_reason text, seq integer, last_event_at timestamptz, mark bigint,
  state_bytes integer, steps_succeeded smallint, steps_failed smallint, steps_skipped smallint, in_flight jsonb,
  started_at timestamptz, ended_at timestamptz, reason text, error jsonb, ending text);`
