/** Security events: what needs attention, kept apart from the audit log that each of them also stands in (C8, B14). */
import { Migration } from '@mikro-orm/migrations'

export class SecurityEvents extends Migration {
  override up(): void {
    this.addSql(counts)
    this.addSql(events)
    this.addSql(search)
    this.addSql('grant select, insert, update, delete on sluice.security_counts, sluice.security_events to sluice_app')
  }
}

// What all processes have counted of one subject in one window of time. Only counts change, so that updates stay on their page.
const counts = `
create table sluice.security_counts (
  kind text not null,
  subject_kind text not null,
  subject text not null,
  window_at timestamptz(3) not null,
  count bigint not null,
  first_at timestamptz(3) not null,
  last_at timestamptz(3) not null,
  constraint security_counts_pkey primary key (kind, subject_kind, subject, window_at),
  constraint security_counts_positive check (count >= 1)
) with (fillfactor = 70);
create index security_counts_age on sluice.security_counts (kind, window_at);`

// The id is that of the audit event that says the same. \`alert_due_at\` is set while the webhook is still to be told.
const events = `
create table sluice.security_events (
  id uuid not null,
  kind text not null,
  severity text not null,
  subject_kind text not null,
  subject text not null,
  window_at timestamptz(3) not null,
  count bigint not null,
  first_at timestamptz(3) not null,
  last_at timestamptz(3) not null,
  alert_due_at timestamptz(3),
  alert_attempts integer not null default 0,
  alerted_at timestamptz(3),
  constraint security_events_pkey primary key (id),
  constraint security_events_once unique (kind, window_at, subject_kind, subject),
  constraint security_events_severity_known check (severity in ('NOTICE', 'WARNING', 'CRITICAL')),
  constraint security_events_count_positive check (count >= 1)
);
create index security_events_subject on sluice.security_events (subject, id);
create index security_events_alert on sluice.security_events (alert_due_at) where alert_due_at is not null;`

// For searches that would else walk the whole log. The ends of executions, half of all rows, have no address and mostly succeed:
// they are in none of these.
const search = `
create index audit_events_ip on sluice.audit_events (ip, id) where ip is not null;
create index audit_events_attention on sluice.audit_events (severity, id) where severity <> 'INFO';
create index audit_events_undone on sluice.audit_events (id) where not success;`
