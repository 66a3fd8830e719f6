/** The chain over the audit log: each row says which transaction wrote it, and seals hold them together in the order of their commits. */
import { Migration } from '@mikro-orm/migrations'

export class AuditChain extends Migration {
  override up(): void {
    this.addSql(order)
    this.addSql(seals)
    this.addSql('grant select, insert on sluice.audit_seals to sluice_app')
  }
}

// Rows below the oldest running transaction are all there: read in this order, none comes in between later.
const order = `
alter table sluice.audit_events add column xid xid8 not null default pg_current_xact_id();
create index audit_events_order on sluice.audit_events (xid, id);`

// A seal covers the rows after those of the seal before it. Its hash is keyed and covers them, its own fields, and that seal's hash.
const seals = `
create table sluice.audit_seals (
  position bigint not null,
  ids uuid[] not null,
  last_xid xid8 not null,
  hash bytea not null,
  sealed_at timestamptz not null,
  constraint audit_seals_pkey primary key (position),
  constraint audit_seals_position_positive check (position >= 1),
  constraint audit_seals_not_empty check (cardinality(ids) >= 1),
  constraint audit_seals_hash_length check (octet_length(hash) = 36)
);
create trigger audit_seals_immutable before update or delete or truncate on sluice.audit_seals
  for each statement execute function sluice.refuse_audit_change();`
