/** Lists what came through a webhook, for those who manage its flow. */
import { sql } from 'kysely'
import { WebhookDelivery } from '../../triggers/entities/webhook-delivery.ts'
import type { Call } from '../call.ts'
import { EVERYWHERE, readRows } from '../page.ts'
import type { Page } from '../page.ts'
import { requirePrincipal, visibleWebhookDeliveries } from '../permissions.ts'

/** `triggerId`: a UUID. */
export async function listWebhookDeliveries(call: Call, triggerId: string, page: Page): Promise<WebhookDelivery[]> {
  const where = sql`t.trigger_id = ${triggerId} and ${visibleWebhookDeliveries(requirePrincipal(call))}`
  return readRows(call, WebhookDelivery, {
    table: 'sluice.webhook_deliveries',
    ways: [{ ...EVERYWHERE, where }],
    filters: [],
    page,
  })
}
