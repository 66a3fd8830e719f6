/** What came through webhooks: stored before it is answered, started after, once. */
import { Migration } from '@mikro-orm/migrations'

export class Webhooks extends Migration {
  override up(): void {
    this.addSql(deliveries)
    this.addSql('grant select, insert, update, delete on sluice.webhook_deliveries to sluice_app')
  }
}

// Due until it was started or refused: `due_at` moves on with each try. Who sends the same again, by its key or its very signature,
// finds the row of the first time.
const deliveries = `
create table sluice.webhook_deliveries (
  id uuid not null,
  trigger_id uuid not null,
  flow_id uuid not null,
  key text not null,
  signature bytea,
  received_at timestamptz(3) not null default clock_timestamp(),
  body text not null,
  replay_of uuid,
  status text not null default 'RECEIVED',
  due_at timestamptz(3) default clock_timestamp(),
  attempts integer not null default 0,
  execution_id uuid,
  error_code text,
  error_message text,
  constraint webhook_deliveries_pkey primary key (id),
  constraint webhook_deliveries_trigger_fkey foreign key (trigger_id) references sluice.triggers (id),
  constraint webhook_deliveries_key unique (trigger_id, key),
  constraint webhook_deliveries_signature unique (trigger_id, signature),
  constraint webhook_deliveries_body_size check (octet_length(body) <= 1000000),
  constraint webhook_deliveries_status_known check (status in ('RECEIVED', 'STARTED', 'REFUSED')),
  constraint webhook_deliveries_due check ((status = 'RECEIVED') = (due_at is not null)),
  constraint webhook_deliveries_started check ((status = 'STARTED') = (execution_id is not null)),
  constraint webhook_deliveries_refused check (status <> 'REFUSED' or error_code is not null)
);
create index webhook_deliveries_due on sluice.webhook_deliveries (due_at) where due_at is not null;
create index webhook_deliveries_waiting on sluice.webhook_deliveries (trigger_id) where due_at is not null;
create index webhook_deliveries_trigger on sluice.webhook_deliveries (trigger_id, id);`
