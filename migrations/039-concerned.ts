/**
 * Whose rights on a flow a change may have changed, so that nobody else is asked again. Null: anybody's, as in rows of processes that do
 * not know of it yet.
 */
import { Migration } from '@mikro-orm/migrations'

export class Concerned extends Migration {
  override up(): void {
    this.addSql('alter table sluice.auth_changes add column concerned text[]')
  }
}
