/** The traces that executions began in, when somebody traces: narrow, and apart, since most installations have none. */
import { Migration } from '@mikro-orm/migrations'

export class ExecutionTraces extends Migration {
  override up(): void {
    this.addSql(traces)
    this.addSql('grant select, insert, delete on sluice.execution_traces to sluice_app')
  }
}

// https://www.w3.org/TR/trace-context/#traceparent-header
const traces = `
create table sluice.execution_traces (
  execution_id uuid not null,
  traceparent text not null,
  constraint execution_traces_pkey primary key (execution_id),
  constraint execution_traces_shape check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$')
);`
