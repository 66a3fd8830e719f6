/** Agents that are reached over Redis: what their messages are signed with, and which notices they took. */
import { Migration } from '@mikro-orm/migrations'

export class AgentMessages extends Migration {
  override up(): void {
    this.addSql(signatures)
    this.addSql(notices)
  }
}

// Made of the key when it is made, and sealed like a secret: whoever reads the table can sign nothing. Null: not an agent's, or older.
const signatures = `
alter table sluice.api_keys add column signature_key_id text, add column signature_nonce bytea, add column signature_sealed bytea,
  add constraint api_keys_signature check (num_nulls(signature_key_id, signature_nonce, signature_sealed) in (0, 3));`

const notices = `
alter table sluice.agent_requests add column taken_at timestamptz(3),
  add constraint agent_requests_taken check (taken_at is null or kind = 'NOTICE');
create index agent_requests_untaken on sluice.agent_requests (role, id) where kind = 'NOTICE' and taken_at is null;`
