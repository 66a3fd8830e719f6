/**
 * What the migrations themselves need. In every migration `sluice_app` stands for the role that the application connects as
 * (the runner puts its real name there); it has no right that a migration does not grant.
 */
import { Migration } from '@mikro-orm/migrations'

export class Schema extends Migration {
  override up(): void {
    this.addSql(`
create table sluice.repeatable_migrations (
  name text not null,
  sha256 text not null,
  applied_at timestamptz not null default now(),
  constraint repeatable_migrations_pkey primary key (name)
);
grant usage on schema sluice to sluice_app;
grant select on sluice.migrations, sluice.repeatable_migrations to sluice_app;`)
  }
}
