/** Children: those of one execution are shown in their order; those of one initiator that have not ended are counted when another is to start. Roots are not in this index. */
import { Migration } from '@mikro-orm/migrations'

export class Children extends Migration {
  override up(): void {
    this.addSql('drop index sluice.executions_children')
    this.addSql('create index executions_children on sluice.executions (parent_id, id) where parent_id is not null')
    this.addSql(`create index executions_active_children on sluice.executions (initiator_id)
      where ended_at is null and parent_id is not null`)
  }
}
