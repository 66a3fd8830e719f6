/** Retries: what an execution goes on with, who began that, and step runs whose ends are used again. */
import { Migration } from '@mikro-orm/migrations'

export class Retries extends Migration {
  override up(): void {
    this.addSql(origins)
    this.addSql(reused)
    this.addSql('grant select, insert on sluice.execution_origins to sluice_app')
  }
}

// `retried`: the execution whose recorded ends this one uses again; it is tried again once, then its retry is. Null when nothing is
// used again, and in children of retries. `initiators`: those of all that it goes on with.
const origins = `
create table sluice.execution_origins (
  execution_id uuid not null,
  retried uuid,
  from_step text,
  reason text,
  initiators uuid[] not null,
  constraint execution_origins_pkey primary key (execution_id),
  constraint execution_origins_retried_once unique (retried),
  constraint execution_origins_reason_length check (char_length(reason) <= 500),
  constraint execution_origins_initiators check (cardinality(initiators) between 1 and 1000)
);`

// the execution in which it ran
const reused = `
alter table sluice.step_runs add column reused_from uuid;`
