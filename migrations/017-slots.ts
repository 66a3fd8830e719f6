/** Slots: who of a flow with `concurrency` runs, and who waits for its turn. A row has an execution; it goes with the execution's end. */
import { Migration } from '@mikro-orm/migrations'

export class Slots extends Migration {
  override up(): void {
    this.addSql(slots)
    this.addSql(rows)
    this.addSql(rights)
  }
}

// `held_at` null: it waits. `most`: how many of the key may hold one, as the newest that asked says; '' is the key of a flow without.
// `hidden`: the key is the hash of one that a reader may not see.
const slots = `
create table sluice.slots (
  execution_id uuid primary key,
  flow_id uuid not null,
  key text not null,
  hidden boolean not null default false,
  most integer not null,
  cancels_older boolean not null default false,
  priority smallint not null,
  due_at timestamptz not null,
  asked_at timestamptz not null default clock_timestamp(),
  held_at timestamptz,
  constraint slots_key_length check (char_length(key) <= 200),
  constraint slots_most_positive check (most >= 1)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
create index slots_queue on sluice.slots (flow_id, key, priority desc, execution_id) where held_at is null;
create index slots_held on sluice.slots (flow_id, key, execution_id) where held_at is not null;`

// A released type is never changed (migrations/008-commit-rows.ts).
const rows = `
create type sluice.slot_row as (execution_id uuid, kind text, flow_id uuid, key text, hidden boolean, most integer,
  most_queued integer, cancels_older boolean, priority smallint, due_at timestamptz);`

const rights = `
grant select, insert, update, delete on sluice.slots to sluice_app;`
