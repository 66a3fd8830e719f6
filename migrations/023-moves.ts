/** Executions that have not ended may move to a newer version of their flow; all else that they are stays what it is. */
import { Migration } from '@mikro-orm/migrations'

export class Moves extends Migration {
  override up(): void {
    this.addSql('drop trigger executions_identity on sluice.executions')
    this.addSql(identity)
    this.addSql(moves)
  }
}

const identity = `
create trigger executions_identity before update of id, flow_id, initiator_id, parent_id, retry_of, created_at
  on sluice.executions for each statement execute function sluice.refuse_execution_change();`

const moves = `
create function sluice.refuse_execution_move() returns trigger language plpgsql as $$
begin
  if old.ended_at is null and exists (
    select from sluice.flow_versions a join sluice.flow_versions b on b.flow_id = a.flow_id and b.number > a.number
    where a.id = old.flow_version_id and b.id = new.flow_version_id and b.flow_id = old.flow_id) then return new;
  end if;
  raise exception 'an execution moves to a newer version of its flow' using errcode = 'SL002', constraint = 'executions_move';
end $$;
create trigger executions_move before update of flow_version_id on sluice.executions for each row
  when (old.flow_version_id is distinct from new.flow_version_id) execute function sluice.refuse_execution_move();`
