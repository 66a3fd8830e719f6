/**
 * The rows that a commit is called with (src/engine/commit.sql), column by column as src/engine/encode.ts writes them. Processes of
 * two releases may call at once: a released type is never changed; a new shape is a new type, and a new function beside the old.
 */
import { Migration } from '@mikro-orm/migrations'

export class CommitRows extends Migration {
  override up(): void {
    this.addSql('drop function if exists sluice.commit_transitions')
    this.addSql(types)
  }
}

const types = `
create type sluice.start_row as (id uuid, flow_id uuid, flow_version_id uuid, initiator_id uuid, parent_id uuid, retry_of uuid,
  priority smallint, labels jsonb, created_at timestamptz, steps_total smallint, status text, epoch integer, owner uuid,
  wake_at timestamptz, deadline_at timestamptz, cancel_reason text, pause_reason text, seq integer, last_event_at timestamptz,
  mark bigint, state_bytes integer, steps_succeeded smallint, steps_failed smallint, steps_skipped smallint, in_flight jsonb,
  started_at timestamptz, ended_at timestamptz, reason text, error jsonb, input json, running_limit integer, principal_id uuid,
  key text, input_hash bytea);
create type sluice.update_row as (id uuid, version integer, status text, epoch integer, owner uuid, wake_at timestamptz,
  deadline_at timestamptz, cancel_reason text, pause_reason text, seq integer, last_event_at timestamptz, mark bigint,
  state_bytes integer, steps_succeeded smallint, steps_failed smallint, steps_skipped smallint, in_flight jsonb,
  started_at timestamptz, ended_at timestamptz, reason text, error jsonb);
create type sluice.step_run_row as (execution_id uuid, path text, name text, type text, status text, attempt integer,
  started_at timestamptz, finished_at timestamptz, route text, input json, output json, error json);
create type sluice.event_row as (execution_id uuid, seq integer, type text, at timestamptz, step text, path text,
  attempt integer, data json);
create type sluice.ask_row as (id uuid, execution_id uuid, flow_id uuid, initiator_id uuid, path text, attempt integer,
  kind text, role text, subject text, body json, status text, created_at timestamptz, deadline_at timestamptz);
create type sluice.closed_ask_row as (execution_id uuid, id uuid, status text, decision text, answer json, answered_by uuid,
  answered_at timestamptz);
create type sluice.output_row as (execution_id uuid, body json);
create type sluice.read_row as (execution_id uuid, key text);
create type sluice.send_row as (execution_id uuid, key text, sender_id uuid, kind text, body json);
create type sluice.key_row as (execution_id uuid, principal_id uuid, operation text, key text, input_hash bytea,
  subject_id uuid);
create type sluice.audit_row as ("of" uuid, id uuid, at timestamptz, type text, severity text, actor_kind text, actor_id uuid,
  flow_id uuid, execution_id uuid, success boolean, duration_ms double precision, tokens integer, error_code text,
  metadata jsonb, ip text, user_agent text, mac bytea);`
