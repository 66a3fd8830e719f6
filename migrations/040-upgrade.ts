/** Which releases can use this schema (src/database/schema-level.ts), and which one wrote a definition: an older one may not understand it. */
import { Migration } from '@mikro-orm/migrations'

export class Upgrade extends Migration {
  override up(): void {
    this.addSql(levels)
    this.addSql('alter table sluice.flow_versions add column level smallint')
  }
}

// written by whoever migrates, as its last act
const levels = `
create table sluice.schema_level (
  singleton boolean not null default true,
  level smallint not null,
  least smallint not null,
  release text not null,
  at timestamptz not null default now(),
  constraint schema_level_pkey primary key (singleton),
  constraint schema_level_is_one_row check (singleton),
  constraint schema_level_serves_itself check (least between 1 and level)
);
grant select on sluice.schema_level to sluice_app;`
