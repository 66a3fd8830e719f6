/** Steps that wait for a worker of their pool, or run there; and what workers say of themselves. */
import { Migration } from '@mikro-orm/migrations'

export class PooledSteps extends Migration {
  override up(): void {
    this.addSql(steps)
    this.addSql(workers)
    this.addSql('grant select, insert, update, delete on sluice.pooled_steps to sluice_app')
  }
}

// A row for each attempt that is in flight as `pooled`; `epoch` counts its claims. It is written and deleted by the transitions of its execution.
const steps = `
create table sluice.pooled_steps (
  execution_id uuid not null,
  path text not null,
  attempt integer not null,
  pool text not null,
  initiator_id uuid not null,
  priority smallint not null,
  queued_at timestamptz not null default clock_timestamp(),
  epoch integer not null,
  owner uuid,
  constraint pooled_steps_pkey primary key (execution_id, path),
  constraint pooled_steps_pool_length check (char_length(pool) between 1 and 64),
  constraint pooled_steps_counts check (attempt >= 1 and epoch >= 0)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
create index pooled_steps_ready on sluice.pooled_steps (pool, initiator_id, priority desc, execution_id, path) where owner is null;
create index pooled_steps_held on sluice.pooled_steps (owner, pool) where owner is not null;`

const workers = `
alter table sluice.workers add column pools text[] not null default '{default}', add column capacity integer, add column held integer,
  add column version text;`
