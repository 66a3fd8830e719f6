/** Changes of who may do what, what sessions tell their owner, deleted users, and resets of passwords. */
import { Migration } from '@mikro-orm/migrations'

export class People extends Migration {
  override up(): void {
    this.addSql(authChanges)
    this.addSql(sessions)
    this.addSql(users)
    this.addSql(resets)
    this.addSql(`
grant select, insert, delete on sluice.auth_changes to sluice_app;
grant select, insert, update, delete on sluice.password_resets, sluice.mail_requests to sluice_app;`)
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

// Where a session came from is for its owner, who looks for one that is not theirs; it goes with the session.
const sessions = `
alter table sluice.sessions
  add column refreshed_at timestamptz(3) not null default now(),
  add column ip text,
  add column user_agent text;
drop index sluice.sessions_user;
create index sessions_user_live on sluice.sessions (user_id, id) where revoked_at is null;
create index sessions_end on sluice.sessions (least(expires_at, revoked_at));`

// What is left of a deleted user is its id, so that history and audit stay in one piece.
const users = `
alter table sluice.users
  add column deleted_at timestamptz(3),
  add constraint users_deleted_disabled check (deleted_at is null or disabled_at is not null);
create index users_role on sluice.users (role, id);`

// A mail is asked for in the same way whether there is such a user or not; whoever sends it looks. What it carries is made
// when it is sent, so that no secret waits in a table: of a reset's token only the hash is ever stored.
const resets = `
create table sluice.password_resets (
  hash bytea not null,
  user_id uuid not null,
  expires_at timestamptz(3) not null,
  constraint password_resets_pkey primary key (hash),
  constraint password_resets_user_fkey foreign key (user_id) references sluice.users (id) on delete cascade,
  constraint password_resets_hash_length check (octet_length(hash) = 32)
);
create index password_resets_user on sluice.password_resets (user_id);
create index password_resets_end on sluice.password_resets (expires_at);

create table sluice.mail_requests (
  id uuid not null,
  kind text not null,
  account text not null,
  due_at timestamptz not null default now(),
  attempts smallint not null default 0,
  constraint mail_requests_pkey primary key (id),
  constraint mail_requests_kind_known check (kind in ('PASSWORD_RESET', 'PASSWORD_CHANGED')),
  constraint mail_requests_account_length check (char_length(account) <= 254)
);
create index mail_requests_due on sluice.mail_requests (due_at);`
