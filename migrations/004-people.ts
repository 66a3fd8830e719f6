/** Changes of who may do what, which every process learns of within a second. */
import { Migration } from '@mikro-orm/migrations'

export class People extends Migration {
  override up(): void {
    this.addSql(authChanges)
    this.addSql('grant select, insert, delete on sluice.auth_changes to sluice_app')
  }
}

// Read after its time with an overlap, since transactions commit in another order than they write; ids tell rows apart.
const authChanges = `
create table sluice.auth_changes (
  id bigint generated always as identity,
  subject text not null,
  at timestamptz not null default clock_timestamp(),
  constraint auth_changes_pkey primary key (id),
  constraint auth_changes_subject_shape check (subject ~ '^(user|session|key|link|flow):[0-9a-f-]{36}$')
);
create index auth_changes_at on sluice.auth_changes (at);`
