/**
 * What the feeds of many things follow: which transaction changed what, in an order that commits cannot break. A reader takes what lies
 * below the oldest transaction that still runs (`pg_snapshot_xmin`), so nothing that commits late is passed by.
 */
import { Migration } from '@mikro-orm/migrations'

export class Feeds extends Migration {
  override up(): void {
    this.addSql(commits)
    this.addSql(requests)
  }
}

// A row for each commit of many transitions (src/engine/commit.sql), kept for an hour (src/engine/trim-commit-log.sql). Not unique:
// where a backup is restored into another cluster, its xids may come again. In the row, not beside it: up to 500 ids lie on one page.
const commits = `
create table sluice.commit_log (
  xid xid8 not null default pg_current_xact_id(),
  at timestamptz not null default now(),
  ids uuid[] not null
) with (toast_tuple_target = 8160);
alter table sluice.commit_log alter column ids set storage external;
create index commit_log_xid on sluice.commit_log (xid);
grant select, insert on sluice.commit_log to sluice_app;
-- never empty: the oldest row tells which cursors are still good
insert into sluice.commit_log (ids) values ('{}');`

const requests = `
alter table sluice.agent_requests add column changed_xid xid8 not null default pg_current_xact_id();
create index agent_requests_changed on sluice.agent_requests (changed_xid);`
