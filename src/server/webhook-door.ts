/** The door of webhooks: `POST /hooks/<id>`, for programs that sign what they send. No cookies, no tokens, no pages. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { LRUCache } from 'lru-cache'
import { Fault } from '../errors.ts'
import { addressKey } from '../fleet/address-key.ts'
import type { ReceiveWebhook } from '../operations/triggers/receive-webhook.ts'
import { MAX_DELIVERY_BYTES } from '../operations/triggers/receive-webhook.ts'
import type { Visitor } from './answer.ts'
import type { ReadBody } from './read-request.ts'
import { rateLimited } from './request-limits.ts'
import type { RequestLimits } from './request-limits.ts'

export interface WebhookDoorOptions {
  readonly receiveWebhook: ReceiveWebhook
  readonly readBody: ReadBody
  readonly limits: Pick<RequestLimits, 'wrongWebhooks'>
}

const REMEMBERED = 10_000
const PATH = /^\/hooks\/([A-Za-z0-9_]{1,100})$/

/**
 * Answers 202 when the delivery is stored; false: the path is not one of webhooks. Throws what the HTTP door shows. Who sends many that
 * are wrong is left alone for a while, but for webhooks that the same address sent to rightly before: many are served from one address.
 */
export type AnswerWebhook = (path: string, request: IncomingMessage, response: ServerResponse, visit: Visitor) => Promise<boolean>

export function createWebhookDoor({ receiveWebhook, readBody, limits }: WebhookDoorOptions): AnswerWebhook {
  const good = new LRUCache<string, true>({ max: REMEMBERED })

  return async (path, request, response, { origin }) => {
    const hook = PATH.exec(path)?.[1]
    if (hook === undefined) return false
    if (request.method !== 'POST') throw new Fault('METHOD_NOT_ALLOWED')
    // a page cannot sign anything: whoever has an origin is in the wrong place
    if (request.headers.origin !== undefined) throw new Fault('FORBIDDEN', 'Webhooks are not for pages.')
    const address = addressKey(origin.ip)
    const sender = `${address} ${hook}`
    const spent = good.has(sender) ? undefined : limits.wrongWebhooks.spent(address)
    if (spent) throw rateLimited(spent)
    if (Number(request.headers['content-length']) > MAX_DELIVERY_BYTES)
      throw new Fault('PAYLOAD_TOO_LARGE', `The body is over ${MAX_DELIVERY_BYTES} bytes.`)
    const body = await readBody(request, address)
    const order = {
      hook,
      signature: only(request, 'sluice-signature'),
      key: only(request, 'idempotency-key', 'webhook-id'),
      body,
      origin,
    }
    try {
      const { deliveryId, duplicate } = await receiveWebhook(order)
      good.set(sender, true)
      sendJson(response, 202, { id: deliveryId, duplicate })
    } catch (error) {
      // as many as wrong tokens: whoever guesses is soon left alone
      if (error instanceof Fault && error.code === 'NOT_FOUND') await limits.wrongWebhooks.take(address)
      throw error
    }
    return true
  }
}

/** The value of the first of these headers that is there, once. */
function only({ headersDistinct }: IncomingMessage, ...names: readonly string[]): string | undefined {
  const values = names.map((name) => headersDistinct[name]).find((found) => found !== undefined)
  return values?.length === 1 ? values[0] : undefined
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const bytes = Buffer.from(JSON.stringify(value))
  response
    .writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': bytes.length,
      'cache-control': 'no-store',
    })
    .end(bytes)
}
