/** Principals beside people (API keys, links to executions), and who may do what on a flow besides its owner. */
import { Migration } from '@mikro-orm/migrations'

export class Principals extends Migration {
  override up(): void {
    this.addSql(apiKeys)
    this.addSql(flowGrants)
    this.addSql(executionLinks)
    this.addSql(actors)
    this.addSql(
      'grant select, insert, update, delete on sluice.api_keys, sluice.flow_grants, sluice.execution_links to sluice_app',
    )
  }
}

// The hash is SHA-256 of 256 random bits: too many to be guessed from it, so it needs no salt and can be looked up.
const apiKeys = `
create table sluice.api_keys (
  id uuid not null,
  owner_id uuid not null,
  name text not null,
  prefix text not null,
  hash bytea not null,
  role text not null,
  scopes text[] not null,
  agent_roles text[] not null default '{}',
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  revoked_at timestamptz(3),
  last_used_at timestamptz(3),
  constraint api_keys_pkey primary key (id),
  constraint api_keys_hash_key unique (hash),
  constraint api_keys_owner_fkey foreign key (owner_id) references sluice.users (id) on delete cascade,
  constraint api_keys_name_length check (char_length(name) between 1 and 100),
  constraint api_keys_hash_length check (octet_length(hash) = 32),
  constraint api_keys_role_known check (role in ('ADMIN', 'USER', 'VIEWER')),
  constraint api_keys_agent_is_no_proxy check (agent_roles = '{}' or role = 'VIEWER')
) with (fillfactor = 80);
create index api_keys_owner on sluice.api_keys (owner_id, id);`

// `grantee` is one text, so that whoever asks is looked up by a list of texts: user:<uuid>, role:USER, agent:ceo, everyone.
// `level` counts up from VIEW (1) over EXECUTE and EDIT to MANAGE (4).
const flowGrants = `
create table sluice.flow_grants (
  id uuid not null,
  flow_id uuid not null,
  grantee text not null,
  user_id uuid,
  level smallint not null,
  granted_by uuid not null,
  created_at timestamptz(3) not null default now(),
  constraint flow_grants_pkey primary key (id),
  constraint flow_grants_grantee_key unique (grantee, flow_id),
  constraint flow_grants_flow_fkey foreign key (flow_id) references sluice.flows (id) on delete cascade,
  constraint flow_grants_user_fkey foreign key (user_id) references sluice.users (id) on delete cascade,
  constraint flow_grants_grantee_shape check (grantee = 'everyone' or grantee ~ '^(role|agent):[A-Za-z0-9_]{1,64}$'
    or (user_id is not null and grantee = 'user:' || user_id)),
  constraint flow_grants_level_known check (level between 1 and 4)
);
create index flow_grants_flow on sluice.flow_grants (flow_id, id);
create index flow_grants_user on sluice.flow_grants (user_id) where user_id is not null;
create index flow_grants_managers on sluice.flow_grants (grantee, flow_id) where level = 4;`

const executionLinks = `
create table sluice.execution_links (
  id uuid not null,
  execution_id uuid not null,
  flow_id uuid not null,
  issuer_id uuid not null,
  may text not null,
  hash bytea not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  revoked_at timestamptz(3),
  constraint execution_links_pkey primary key (id),
  constraint execution_links_hash_key unique (hash),
  constraint execution_links_issuer_fkey foreign key (issuer_id) references sluice.users (id) on delete cascade,
  constraint execution_links_may_known check (may in ('READ', 'ANSWER')),
  constraint execution_links_hash_length check (octet_length(hash) = 32)
);
create index execution_links_execution on sluice.execution_links (execution_id, id);
create index execution_links_issuer on sluice.execution_links (issuer_id, id);
create index execution_links_expiry on sluice.execution_links (expires_at);`

const actors = `
alter table sluice.audit_events drop constraint audit_events_actor_kind_known;
alter table sluice.audit_events add constraint audit_events_actor_kind_known
  check (actor_kind in ('USER', 'API_KEY', 'AGENT', 'LINK', 'SYSTEM', 'ANONYMOUS'));`
