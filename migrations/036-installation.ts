/**
 * Which installation this is: another after every restore, so that whoever followed the one before is told (`sluice.database_epoch` in
 * src/live/change-log.sql). What PostgreSQL knows by itself is not enough: a backup restored twice would look the same.
 */
import { Migration } from '@mikro-orm/migrations'

export class Installation extends Migration {
  override up(): void {
    this.addSql(`
create table sluice.installation (
  singleton boolean not null default true,
  id uuid not null default gen_random_uuid(),
  restored_at timestamptz,
  constraint installation_pkey primary key (singleton),
  constraint installation_is_one_row check (singleton)
);
insert into sluice.installation default values;
grant select on sluice.installation to sluice_app;`)
  }
}
