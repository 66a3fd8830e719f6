/** Locks of processes that share no Redis. */
import { Migration } from '@mikro-orm/migrations'

export class Locks extends Migration {
  override up(): void {
    this.addSql(locks)
    this.addSql('grant select, insert, update, delete on sluice.locks to sluice_app')
  }
}

// One row for each name of the program's own: it stays as small as it is.
const locks = `
create table sluice.locks (
  name text not null,
  token uuid not null,
  ends_at timestamptz not null,
  constraint locks_pkey primary key (name)
);`
