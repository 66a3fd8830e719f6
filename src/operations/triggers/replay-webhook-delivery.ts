/** Takes a delivery of a webhook again, as if it had just come: with what the webhook and its flow are now. */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { queryIn } from '../../database/database.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId, newUuid } from '../../ids.ts'
import type { WebhookDelivery } from '../../triggers/entities/webhook-delivery.ts'
import { storeDelivery } from '../../triggers/webhooks/store-delivery.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import { findFlowLevel } from '../flows/find-flow.ts'
import { loadWebhookDeliveries } from '../load-by-id.ts'
import { mayOnFlow, requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export interface ReplayWebhookDelivery {
  /** UUID */
  id: string
  idempotencyKey?: string | undefined
}

const MAX_KEY = 100

/** `replayed`: an earlier call with this key did it. Problems: VALIDATION, NOT_FOUND, LIMIT_REACHED, IDEMPOTENCY_MISMATCH. Throws FORBIDDEN. */
export async function replayWebhookDelivery(
  call: Call,
  { id, idempotencyKey }: ReplayWebhookDelivery,
): Promise<{ delivery: WebhookDelivery; replayed: boolean } | Problem> {
  const principal = requirePrincipal(call)
  const check = new ArgumentCheck()
  check.line(['idempotencyKey'], idempotencyKey, MAX_KEY)
  if (check.problem) return check.problem
  const [before] = await loadWebhookDeliveries(call, [id])
  if (!before) return problem('NOT_FOUND')
  const { triggerId, flowId } = before
  const level = await findFlowLevel(call, flowId)
  if (!mayOnFlow(principal, 'MANAGE', { level })) return forbid(call, { type: 'webhook.replayRefused', flowId })
  const key = `replay:${principal.id}:${idempotencyKey ?? newUuid()}`
  const stored = await call.services.database.transaction(async (em) => {
    const [row] = await queryIn<{ body: string }>(em, 'select body from sluice.webhook_deliveries where id = $1', [id])
    if (!row) return problem('NOT_FOUND')
    const again = await storeDelivery(em, { triggerId, flowId, key, signature: null, body: row.body, replayOf: id })
    if (!again) return problem('LIMIT_REACHED', { message: 'Too many deliveries of this webhook wait.', retryAfterMs: 60_000 })
    if (again.replayOf !== id) return problem('IDEMPOTENCY_MISMATCH', { path: ['idempotencyKey'] })
    const metadata = { delivery: encodeId('webhookDelivery', id), again: encodeId('webhookDelivery', again.id) }
    if (!again.duplicate) await recordAudit(em, auditEntry(call, { type: 'webhook.replayed', flowId, metadata }))
    return again
  })
  if (isProblem(stored)) return stored
  call.services.wakeDeliveries()
  const [delivery] = await loadWebhookDeliveries(call, [stored.id])
  return delivery ? { delivery, replayed: stored.duplicate } : problem('NOT_FOUND')
}
