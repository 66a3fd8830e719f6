/** The entities of triggers, as MikroORM wants to know them. */
import { Trigger } from './trigger.ts'
import { WebhookDelivery } from './webhook-delivery.ts'

export const TRIGGER_ENTITIES = [Trigger, WebhookDelivery]
