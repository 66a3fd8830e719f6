/** Secrets that steps use: sealed by the application, so that the database and its backups hold nothing that can be read. */
import { Migration } from '@mikro-orm/migrations'

export class Secrets extends Migration {
  override up(): void {
    this.addSql(secrets)
    this.addSql('grant select, insert, update, delete on sluice.secrets to sluice_app')
  }
}

// AES-256-GCM: `sealed` is the ciphertext and its tag of 16 bytes; id, owner, name, version and key are authenticated with it.
const secrets = `
create table sluice.secrets (
  id uuid not null,
  owner_id uuid not null,
  name text not null,
  key_id text not null,
  nonce bytea not null,
  sealed bytea not null,
  version integer not null default 1,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  constraint secrets_pkey primary key (id),
  constraint secrets_owner_fkey foreign key (owner_id) references sluice.users (id) on delete cascade,
  constraint secrets_owner_name_key unique (owner_id, name),
  constraint secrets_name_shape check (name ~ '^[A-Za-z0-9_]{1,64}$'),
  constraint secrets_key_id_shape check (key_id ~ '^[0-9a-f]{16}$'),
  constraint secrets_nonce_length check (octet_length(nonce) = 12),
  constraint secrets_sealed_length check (octet_length(sealed) between 17 and 20000),
  constraint secrets_version_positive check (version >= 1)
);
create index secrets_owner_id on sluice.secrets (owner_id, id);
create index secrets_key on sluice.secrets (key_id, id);`
