/** Claims tell whether they want what is ready too; calls without it, of processes that were not upgraded yet, mean yes. */
import { Migration } from '@mikro-orm/migrations'

export class Dispatch extends Migration {
  override up(): void {
    this.addSql('drop function if exists sluice.claim_executions(uuid, integer, uuid)')
  }
}
