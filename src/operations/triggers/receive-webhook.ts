/** Takes what comes through a webhook: who sent it is told by its signature alone. */
import { randomBytes } from 'node:crypto'
import type { Origin } from '../../audit/audit-entry.ts'
import type { AuditKeys } from '../../audit/audit-keys.ts'
import { auditEntry } from '../../audit/record-audit.ts'
import type { Refusals } from '../../audit/refusals.ts'
import type { Database } from '../../database/database.ts'
import { Fault } from '../../errors.ts'
import { addressKey } from '../../fleet/address-key.ts'
import type { Bus } from '../../fleet/bus.ts'
import type { SecretKeys } from '../../identity/secret-keys.ts'
import { SEALED } from '../../identity/secrets.ts'
import type { SealedRow } from '../../identity/secrets.ts'
import { decodeId, encodeId } from '../../ids.ts'
import { DELIVERIES_TOPIC } from '../../triggers/webhooks/delivery-loop.ts'
import { verifySignature } from '../../triggers/webhooks/signature.ts'
import { storeDelivery } from '../../triggers/webhooks/store-delivery.ts'

/** Of an input (A4). */
export const MAX_DELIVERY_BYTES = 1_000_000
const MAX_DELIVERY_KEY = 200

export interface WebhookRequest {
  /** `trigger_...`, as in its URL */
  readonly hook: string
  readonly signature: string | undefined
  /** whoever sends it twice sends the same */
  readonly key: string | undefined
  readonly body: string
  readonly origin: Origin
}

/** Resolves when it is stored. Throws NOT_FOUND (no such webhook, or not signed for it: the same), BAD_REQUEST, RATE_LIMITED. */
export type ReceiveWebhook = (request: WebhookRequest) => Promise<{ deliveryId: string; duplicate: boolean }>

export interface ReceiveWebhookOptions {
  readonly database: Database
  readonly bus: Bus
  readonly keys: SecretKeys
  readonly auditKeys: Pick<AuditKeys, 'sign'>
  readonly refusals: Refusals
}

type Hook = { triggerId: string; flowId: string } & (SealedRow | { id: null })

/** Only while it was published by the flow's owner, whose secret it is. */
const FIND = `
  select t.id as "triggerId", t.flow_id as "flowId", ${SEALED}
  from sluice.triggers t
  join sluice.flows f on f.id = t.flow_id and f.owner_id = t.published_by
  join sluice.users u on u.id = f.owner_id and u.disabled_at is null
  left join sluice.secrets s on s.owner_id = f.owner_id and s.name = t.definition ->> 'secret'
  where t.id = $1 and t.type = 'webhook' and t.removed_at is null`

const NO_ID = '00000000-0000-0000-0000-000000000000'

export function createReceiveWebhook(options: ReceiveWebhookOptions): ReceiveWebhook {
  const { database, bus, keys } = options
  // what is not there takes as long to refuse as what is
  const nobodys = randomBytes(32).toString('hex')

  return async (request) => {
    const [found] = await database.query<Hook>(FIND, [decodeId('trigger', request.hook) ?? NO_ID])
    const secret = (found && open(keys, found)) ?? nobodys
    const now = database.clock.now()
    const signature = verifySignature(request.signature ?? '', request.body, secret, now)
    if (!found || !signature || secret === nobodys) return refuse(options, request, found)
    const { body } = request
    const key = request.key ?? signature.toString('hex')
    if (key.length > MAX_DELIVERY_KEY || !/^[\x21-\x7e]+$/.test(key))
      throw new Fault('BAD_REQUEST', 'The key of the delivery is not one.')
    if (!isJson(body)) throw new Fault('BAD_REQUEST', 'The body is not JSON.')
    const { triggerId, flowId } = found
    const stored = await storeDelivery(database.fork(), { triggerId, flowId, key: `sent:${key}`, signature, body })
    if (!stored)
      throw new Fault('RATE_LIMITED', 'Too many deliveries of this webhook wait.', { extensions: { retryAfterMs: 60_000 } })
    if (!stored.duplicate) bus.ring(DELIVERIES_TOPIC)
    return { deliveryId: encodeId('webhookDelivery', stored.id), duplicate: stored.duplicate }
  }
}

/** undefined: it is not there, or cannot be read. */
function open(keys: SecretKeys, found: Hook): string | undefined {
  if (found.id === null) return undefined
  try {
    return keys.unseal(found, found)
  } catch {
    return undefined
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

async function refuse(services: ReceiveWebhookOptions, { origin }: WebhookRequest, found: Hook | undefined): Promise<never> {
  const facts = {
    type: 'webhook.refused',
    severity: 'NOTICE',
    success: false,
    errorCode: found ? 'WRONG_SIGNATURE' : 'NOT_FOUND',
  } as const
  const entry = auditEntry({ origin, services }, { ...facts, ...(found && { flowId: found.flowId }) })
  await services.refusals.record(addressKey(origin.ip), entry)
  throw new Fault('NOT_FOUND', 'There is no such webhook, or the request is not signed for it.')
}
