/** Users, their sessions, and the refresh tokens that carry a session on. */
import { Migration } from '@mikro-orm/migrations'

export class Identity extends Migration {
  override up(): void {
    this.addSql(users)
    this.addSql(sessions)
    this.addSql('grant select, insert, update, delete on sluice.users, sluice.sessions, sluice.refresh_tokens to sluice_app')
  }
}

const users = `
create table sluice.users (
  id uuid not null,
  email text not null,
  handle text not null,
  name text not null,
  role text not null,
  password_hash text not null,
  version integer not null default 1,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  disabled_at timestamptz(3),
  constraint users_pkey primary key (id),
  constraint users_handle_key unique (handle),
  constraint users_email_length check (char_length(email) between 3 and 254),
  constraint users_handle_shape check (handle ~ '^[a-z0-9-]{1,39}$'),
  constraint users_name_length check (char_length(name) between 1 and 100),
  constraint users_role_known check (role in ('ADMIN', 'USER', 'VIEWER')),
  constraint users_version_positive check (version >= 1)
);
create unique index users_email_key on sluice.users (lower(email));
create index users_admins on sluice.users (id) where role = 'ADMIN';`

// A session is the family of all refresh tokens that came of one sign-in. A token's hash is SHA-256 of 256 random bits:
// too many to be guessed from it, so it needs no salt and can be looked up.
const sessions = `
create table sluice.sessions (
  id uuid not null,
  user_id uuid not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  revoked_at timestamptz(3),
  constraint sessions_pkey primary key (id),
  constraint sessions_user_fkey foreign key (user_id) references sluice.users (id) on delete cascade
);
create index sessions_user on sluice.sessions (user_id, expires_at);

create table sluice.refresh_tokens (
  hash bytea not null,
  session_id uuid not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  used_at timestamptz(3),
  replaced_by bytea,
  constraint refresh_tokens_pkey primary key (hash),
  constraint refresh_tokens_session_fkey foreign key (session_id) references sluice.sessions (id) on delete cascade,
  constraint refresh_tokens_hash_length check (octet_length(hash) = 32),
  constraint refresh_tokens_replaced_when_used check (replaced_by is null or used_at is not null)
);
create index refresh_tokens_session on sluice.refresh_tokens (session_id);`
