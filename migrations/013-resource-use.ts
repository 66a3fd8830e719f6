/** What principals and flows took of the machine, by the hour: added up by the processes, never by a commit (D7). */
import { Migration } from '@mikro-orm/migrations'

export class ResourceUse extends Migration {
  override up(): void {
    this.addSql(use)
    this.addSql('grant select, insert, update, delete on sluice.resource_use to sluice_app')
  }
}

// No foreign keys: what it tells of may be gone. The rows of the present hour are updated every few seconds.
const use = `
create table sluice.resource_use (
  hour timestamptz not null,
  initiator_id uuid not null,
  flow_id uuid not null,
  executions bigint not null,
  payload_bytes bigint not null,
  handler_attempts bigint not null,
  handler_cpu_ms double precision not null,
  handler_memory_bytes bigint not null,
  exceeded bigint not null,
  constraint resource_use_pkey primary key (hour, initiator_id, flow_id)
) with (fillfactor = 70);`
