/** What the attempts of an execution took in tokens, as its definition says. */
import { Migration } from '@mikro-orm/migrations'

export class Tokens extends Migration {
  override up(): void {
    this.addSql('alter table sluice.executions add column tokens integer not null default 0')
  }
}
