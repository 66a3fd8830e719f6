/** Pools: executions run on the kind of worker that their flow asks for; claims look at those of one pool only. */
import { Migration } from '@mikro-orm/migrations'

export class Pools extends Migration {
  override up(): void {
    this.addSql(executions)
    this.addSql(starts)
    // the next text of src/engine/claim.sql takes a pool too, and those who say none mean the default one
    this.addSql('drop function if exists sluice.claim_executions(uuid, integer, uuid)')
    this.addSql('drop function if exists sluice.claim_executions(uuid, integer, uuid, boolean)')
    this.addSql('drop function if exists sluice.claim_offered(uuid, uuid[])')
  }
}

const executions = `
alter table sluice.executions add column pool text not null default 'default',
  add constraint executions_pool_length check (char_length(pool) between 1 and 64);
drop index sluice.executions_ready;
create index executions_ready on sluice.executions (pool, initiator_id, priority desc, id)
  where owner is null and wake_at is null and status in ('PENDING', 'RUNNING');
drop index sluice.executions_sleeping;
create index executions_sleeping on sluice.executions (pool, wake_at) where wake_at is not null;
drop index sluice.executions_held;
create index executions_held on sluice.executions (owner, pool) where owner is not null;`

// The row of 018 with one column more.
const starts = `
create type sluice.start_row_30 as (id uuid, flow_id uuid, flow_version_id uuid, initiator_id uuid, parent_id uuid, retry_of uuid,
  trigger_id uuid, priority smallint, labels jsonb, created_at timestamptz, steps_total smallint, status text, epoch integer,
  owner uuid, wake_at timestamptz, deadline_at timestamptz, cancel_reason text, pause_reason text, seq integer,
  last_event_at timestamptz, mark bigint, state_bytes integer, steps_succeeded smallint, steps_failed smallint,
  steps_skipped smallint, in_flight jsonb, started_at timestamptz, ended_at timestamptz, reason text, error jsonb, ending text,
  input json, running_limit integer, principal_id uuid, key text, input_hash bytea, pool text);`
