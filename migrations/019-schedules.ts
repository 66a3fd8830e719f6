/** Schedules, and each time that one of them fired: what was started for it, or why nothing was. */
import { Migration } from '@mikro-orm/migrations'

export class Schedules extends Migration {
  override up(): void {
    this.addSql(schedules)
    this.addSql(firings)
    this.addSql('grant select, insert, update, delete on sluice.schedules, sluice.schedule_firings to sluice_app')
  }
}

// `next_for` is the scheduled time, `next_at` when it fires: later by the jitter. A trigger that was removed has no next time.
const schedules = `
create table sluice.schedules (
  trigger_id uuid not null,
  overlap text not null,
  next_for timestamptz,
  next_at timestamptz,
  last_started_id uuid,
  paused_at timestamptz,
  paused_by uuid,
  pause_reason text,
  last_problem jsonb,
  version integer not null default 1,
  constraint schedules_pkey primary key (trigger_id),
  constraint schedules_trigger_fkey foreign key (trigger_id) references sluice.triggers (id),
  constraint schedules_overlap_known check (overlap in ('skip', 'queue', 'cancel', 'allow')),
  constraint schedules_next check ((next_for is null) = (next_at is null)),
  constraint schedules_paused_is_idle check (next_at is null or paused_at is null),
  constraint schedules_version_positive check (version >= 1)
);
create index schedules_due on sluice.schedules (next_at) where next_at is not null;`

// The execution's id is made before it starts: whoever tries it again after a crash finds it there. It is a UUIDv7, so the index on
// it is also the order in which old ones go.
const firings = `
create table sluice.schedule_firings (
  trigger_id uuid not null,
  scheduled_for timestamptz not null,
  cause text not null,
  status text not null,
  execution_id uuid not null,
  reason text,
  constraint schedule_firings_pkey primary key (trigger_id, scheduled_for),
  constraint schedule_firings_schedule_fkey foreign key (trigger_id) references sluice.schedules (trigger_id),
  constraint schedule_firings_execution_key unique (execution_id),
  constraint schedule_firings_cause_known check (cause in ('SCHEDULED', 'CAUGHT_UP', 'BACKFILLED', 'ASKED_FOR')),
  constraint schedule_firings_status_known check (status in ('WAITING', 'STARTED', 'SKIPPED', 'REFUSED', 'MISSED')),
  constraint schedule_firings_reason check (status in ('WAITING', 'STARTED') or reason is not null)
);
create index schedule_firings_waiting on sluice.schedule_firings (trigger_id, scheduled_for) where status = 'WAITING';`
