/** What failed and is to be told to a flow (`onFailure`), and what the monitor of invariants found and mended. */
import { Migration } from '@mikro-orm/migrations'

export class Control extends Migration {
  override up(): void {
    this.addSql(failures)
    this.addSql(repairs)
    this.addSql(rights)
  }
}

// Written with the end of the execution. `handled_by`: what was started for it, written with that start; `refused`: why nothing is.
const failures = `
create table sluice.failures (
  execution_id uuid not null,
  failed_at timestamptz not null default clock_timestamp(),
  tries integer not null default 0,
  next_at timestamptz not null default clock_timestamp(),
  handled_by uuid,
  refused text,
  constraint failures_pkey primary key (execution_id),
  constraint failures_handled_or_refused check (handled_by is null or refused is null)
);
create index failures_due on sluice.failures (next_at) where handled_by is null and refused is null;
create unique index failures_handled_by on sluice.failures (handled_by) where handled_by is not null;`

const repairs = `
create table sluice.repairs (
  id uuid not null,
  at timestamptz not null default clock_timestamp(),
  invariant text not null,
  execution_id uuid not null,
  constraint repairs_pkey primary key (id),
  constraint repairs_invariant_known check (invariant in ('SLOT_WITHOUT_HOLDER', 'CHILD_OF_ENDED_PARENT', 'WAIT_WITHOUT_WAKER'))
);
create index repairs_execution on sluice.repairs (execution_id);
-- one row: when somebody looked last, and how that went
create table sluice.invariant_checks (
  singleton boolean not null default true,
  began_at timestamptz not null default '-infinity',
  ended_at timestamptz,
  executions bigint not null default 0,
  slots bigint not null default 0,
  constraint invariant_checks_pkey primary key (singleton),
  constraint invariant_checks_is_one_row check (singleton)
);
insert into sluice.invariant_checks default values;`

const rights = `
grant select, insert, update, delete on sluice.failures to sluice_app;
grant select, insert on sluice.repairs to sluice_app;
grant select, update on sluice.invariant_checks to sluice_app;`
