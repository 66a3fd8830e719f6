/** A request that came through a webhook, and what became of it. Read only; its body is read by who starts it alone. */
import { defineEntity, p } from '@mikro-orm/postgresql'

export const DELIVERY_STATUSES = ['RECEIVED', 'STARTED', 'REFUSED'] as const
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number]

const WebhookDeliverySchema = defineEntity({
  name: 'WebhookDelivery',
  tableName: 'webhook_deliveries',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    triggerId: p.uuid(),
    flowId: p.uuid(),
    /** whoever sent it names it so */
    key: p.string(),
    receivedAt: p.datetime(),
    replayOf: p.uuid().nullable(),
    status: p.string().$type<DeliveryStatus>(),
    /** when it is tried next; null when it was started or refused */
    dueAt: p.datetime().nullable(),
    attempts: p.integer(),
    executionId: p.uuid().nullable(),
    errorCode: p.string().nullable(),
    errorMessage: p.string().nullable(),
  },
})
export class WebhookDelivery extends WebhookDeliverySchema.class {}
WebhookDeliverySchema.setClass(WebhookDelivery)
