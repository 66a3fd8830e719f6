/** Security events are evidence: the application's role may only say more of one, and remove none by itself (C8, D1). */
import { Migration } from '@mikro-orm/migrations'

export class KeptEvents extends Migration {
  override up(): void {
    // what is old is removed by sluice.remove_security_events
    this.addSql('revoke update, delete on sluice.security_events from sluice_app')
    this.addSql('grant update (count, last_at, alert_due_at, alert_attempts, alerted_at) on sluice.security_events to sluice_app')
  }
}
