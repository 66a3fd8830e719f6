/**
 * How long a flow says that its payloads are kept, and how far the operator lets flows say that. `payloads_removed`: what its
 * executions had up to here is gone. The functions that remove run as the owner of the tables and look at the bounds themselves.
 */
import { Migration } from '@mikro-orm/migrations'

export class FlowRetention extends Migration {
  override up(): void {
    this.addSql(bounds)
    this.addSql(flows)
  }
}

// both null: flows have no say
const bounds = `
alter table sluice.retention add column flow_least_days integer, add column flow_most_days integer,
  add constraint retention_flow_days check (flow_least_days >= 1 and flow_most_days >= flow_least_days and event_days >= flow_most_days);`

const flows = `
alter table sluice.flows add column payload_days integer, add column payloads_removed uuid,
  add constraint flows_payload_days check (payload_days >= 1);
create index flows_own_retention on sluice.flows (id) where payload_days is not null;`
