/** Which execution answered an input last, for flows with a cache; and how often patterns answered. */
import { Migration } from '@mikro-orm/migrations'

export class Cache extends Migration {
  override up(): void {
    this.addSql(cache)
    this.addSql(uses)
    this.addSql('grant select, insert, update, delete on sluice.cached_results, sluice.pattern_uses to sluice_app')
  }
}

// Points to the newest execution that was started with this input; whether that has succeeded, and how long ago, is in its own row.
const cache = `
create table sluice.cached_results (
  flow_version_id uuid not null,
  principal_id uuid not null,
  input_hash bytea not null,
  execution_id uuid not null,
  constraint cached_results_pkey primary key (flow_version_id, principal_id, input_hash),
  constraint cached_results_hash_length check (octet_length(input_hash) = 32)
);
create index cached_results_execution on sluice.cached_results (execution_id);`

const uses = `
create table sluice.pattern_uses (
  trigger_id uuid not null,
  answers bigint not null,
  cached bigint not null,
  tokens bigint not null,
  constraint pattern_uses_pkey primary key (trigger_id),
  constraint pattern_uses_trigger_fkey foreign key (trigger_id) references sluice.triggers (id) on delete cascade,
  constraint pattern_uses_counts check (answers >= cached and cached >= 0 and tokens >= 0)
);`
