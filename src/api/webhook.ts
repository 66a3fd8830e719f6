/** Webhooks: what came through them, what became of it, and taking it again. */
import { encodeId } from '../ids.ts'
import { listWebhookDeliveries } from '../operations/triggers/list-webhook-deliveries.ts'
import { replayWebhookDelivery } from '../operations/triggers/replay-webhook-delivery.ts'
import type { DeliveryStatus } from '../triggers/entities/webhook-delivery.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { given } from './given.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { Execution, Trigger, WebhookDelivery } from './refs.ts'

const Status = builder.enumType('WebhookDeliveryStatus', {
  description: 'How a delivery is.',
  values: {
    RECEIVED: { description: 'It is stored, and will be started.' },
    STARTED: { description: 'It has started an execution.' },
    REFUSED: { description: 'It starts nothing; `errorCode` says why.' },
  } satisfies Record<DeliveryStatus, { description: string }>,
})

WebhookDelivery.implement({
  description: 'A signed request that came through a webhook.',
  fields: (t) => ({
    trigger: t.field({
      type: Trigger,
      nullable: true,
      description: 'The webhook; null when its flow does not have it any more.',
      resolve: ({ triggerId }) => triggerId,
    }),
    status: t.field({ type: Status, description: 'How it is.', resolve: ({ status }) => status }),
    receivedAt: t.expose('receivedAt', { type: 'DateTime', description: 'When it came.' }),
    nextAttemptAt: t.expose('dueAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it is tried next; null when it was started or refused.',
    }),
    attempts: t.exposeInt('attempts', { description: 'How often it was tried.' }),
    execution: t.field({
      type: Execution,
      nullable: true,
      description: 'What it started, as far as you may see it.',
      resolve: ({ executionId }) => executionId,
    }),
    errorCode: t.exposeString('errorCode', { nullable: true, description: 'Why it has started nothing (yet).' }),
    errorMessage: t.exposeString('errorMessage', { nullable: true, description: 'The same for people.' }),
    replayOf: t.field({
      type: WebhookDelivery,
      nullable: true,
      description: 'The delivery that somebody took again by this one.',
      resolve: ({ replayOf }) => replayOf,
    }),
  }),
})

builder.objectField(Trigger, 'webhookPath', (t) =>
  t.string({
    nullable: true,
    description: 'Where requests of the webhook are sent to, by POST; null for other triggers.',
    resolve: ({ id, type }) => (type === 'webhook' ? `/hooks/${encodeId('trigger', id)}` : null),
  }),
)

builder.queryField('webhookDeliveries', (t) =>
  t.connection(
    {
      type: WebhookDelivery,
      authScopes: { may: 'FLOWS_READ' },
      description: 'What came through a webhook of a flow that you manage. The newest first.',
      complexity: connectionCost,
      args: { trigger: t.arg.id({ required: true, description: 'The webhook.' }) },
      resolve: (_root, { trigger, ...args }, call) =>
        readPage(
          'WebhookDelivery',
          args,
          (page) => listWebhookDeliveries(call, uuidOf('trigger', trigger), page),
          (delivery) => delivery.id,
        ),
    },
    ...connectionTypes(WebhookDelivery, 'WebhookDelivery'),
  ),
)

mutation('replayWebhookDelivery', {
  description: 'Takes a delivery again, as if it had just come. For those who manage the flow.',
  scopes: { may: 'EXECUTIONS_WRITE' },
  input: (t) => ({
    id: t.id({ required: true, description: 'The delivery.' }),
    idempotencyKey: t.string({ description: 'Of two calls with the same key only the first does it. 1 to 100 characters.' }),
  }),
  resolve: (call, { id, ...rest }) => replayWebhookDelivery(call, { ...given(rest), id: uuidOf('webhookDelivery', id) }),
  success: (t) => ({
    delivery: t.field({ type: WebhookDelivery, description: 'The new delivery.', resolve: ({ delivery }) => delivery }),
    replayed: t.exposeBoolean('replayed', { description: 'An earlier call with this idempotency key did it.' }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'LIMIT_REACHED', 'IDEMPOTENCY_MISMATCH'],
})
