/** Signals that executions received, and approvals: who is asked, who handed their vote to whom, and the votes. */
import { Migration } from '@mikro-orm/migrations'

export class Waits extends Migration {
  override up(): void {
    this.addSql(signals)
    this.addSql(approvals)
    this.addSql(rows)
    this.addSql(rights)
  }
}

// `seq` is that of the event; `taken_by` the path of the step run that took it.
const signals = `
create table sluice.signals (
  execution_id uuid not null,
  seq integer not null,
  id uuid not null,
  name text not null,
  data json,
  bytes integer not null,
  sent_by text not null,
  at timestamptz not null,
  taken_by text,
  constraint signals_pkey primary key (execution_id, seq),
  constraint signals_name_shape check (name ~ '^[A-Za-z0-9_]{1,64}$'),
  constraint signals_bytes_bound check (bytes between 0 and 1000000)
);
create index signals_waiting on sluice.signals (execution_id, seq) where taken_by is null;`

// `approver` is role:USER, user:<uuid> or handle:ann; rows of a person whom somebody handed their vote to say of whom it is.
const approvals = `
alter table sluice.agent_requests drop constraint agent_requests_kind_known,
  add constraint agent_requests_kind_known check (kind in ('REQUEST', 'NOTICE', 'APPROVAL')),
  add constraint agent_requests_approval check ((kind = 'APPROVAL') = (role = ''));

create table sluice.approvals (
  request_id uuid not null,
  execution_id uuid not null,
  data_hash text not null,
  quorum smallint not null,
  rejects smallint not null,
  self_approval boolean not null,
  constraint approvals_pkey primary key (request_id),
  constraint approvals_data_hash_shape check (data_hash ~ '^[0-9a-f]{64}$'),
  constraint approvals_counts check (quorum between 1 and 20 and rejects between 1 and 20)
);
create index approvals_execution on sluice.approvals (execution_id);

create table sluice.approvers (
  request_id uuid not null,
  approver text not null,
  delegated_by uuid,
  is_open boolean not null default true,
  constraint approvers_pkey primary key (request_id, approver)
);
create index approvers_approver on sluice.approvers (approver, is_open, request_id);
create unique index approvers_delegated_once on sluice.approvers (request_id, delegated_by) where delegated_by is not null;

create table sluice.votes (
  request_id uuid not null,
  voter_id uuid not null,
  voted_for uuid not null,
  decision text not null,
  data json,
  data_hash text not null,
  at timestamptz not null,
  constraint votes_pkey primary key (request_id, voter_id),
  constraint votes_once unique (request_id, voted_for),
  constraint votes_decision_known check (decision in ('APPROVE', 'REJECT'))
);
create index votes_voter on sluice.votes (voter_id, request_id);

create function sluice.close_approvers() returns trigger language plpgsql as $$
begin
  update sluice.approvers set is_open = false where request_id = new.id;
  return null;
end $$;
create trigger agent_requests_close_approvers after update of status on sluice.agent_requests
  for each row when (new.kind = 'APPROVAL' and new.status <> 'OPEN') execute function sluice.close_approvers();`

// What the function of src/engine/commit-waits.sql reads; src/engine/encode.ts writes it.
const rows = `
create type sluice.wait_row as (execution_id uuid, kind text, body json);`

const rights = `
grant select, insert on sluice.approvals, sluice.votes to sluice_app;
grant select, insert, update on sluice.signals, sluice.approvers to sluice_app;`
