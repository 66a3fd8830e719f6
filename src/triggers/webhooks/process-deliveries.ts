/** Starts what came through webhooks: any process with a worker, each delivery once, also after a crash. */
import type { Database } from '../../database/database.ts'
import { encodeId } from '../../ids.ts'
import { IssueList } from '../../language/issue-list.ts'
import { compileTriggerTemplate, NO_EXECUTION } from '../../language/triggers/trigger-language.ts'
import { WEBHOOK_SEES } from '../../language/triggers/webhook.ts'
import type { WebhookTrigger } from '../../language/triggers/webhook.ts'
import type { Evaluated, Json } from '../../language/values.ts'
import type { DeliveryStatus } from '../entities/webhook-delivery.ts'
import type { StartByTrigger, TriggeredResult, TriggeredStart } from '../start-by-trigger.ts'

const MOST_AT_ONCE = 50
/** A process that took some and died: another takes them after so long. What it had started is not started again. */
const TAKEN_S = 30
const LONGEST_PAUSE_MS = 60_000
/** What was refused by a limit is tried again for so long. */
const GIVE_UP = `interval '24 hours'`

interface Due {
  id: string
  body: string
  receivedAt: Date
  expired: boolean
  removed: boolean
  trigger: TriggeredStart['trigger']
  definition: WebhookTrigger
}

/** What became of those that it took, at most 50. Rejects when the database does not answer: they are taken again later. */
export async function processDeliveries(database: Pick<Database, 'query'>, start: StartByTrigger): Promise<DeliveryStatus[]> {
  const due = await database.query<Due>(TAKE, [MOST_AT_ONCE])
  // one that cannot be asked about now stays taken, and is tried again
  const ended = await Promise.all(due.map((delivery) => startOne(delivery, start).catch(() => undefined)))
  const rows = ended.flatMap((result, place) => (result ? [toRow(due[place]!, result)] : []))
  if (rows.length > 0) await database.query(END, [JSON.stringify(rows)])
  return due.map((_, place) => statusOf(ended[place], due[place]!))
}

async function startOne(delivery: Due, start: StartByTrigger): Promise<TriggeredResult> {
  if (delivery.removed) return { ok: false, code: 'TRIGGER_REMOVED', message: 'The flow does not have this webhook any more.' }
  const input = inputOf(delivery)
  if (!input.ok) return { ok: false, code: 'EXPRESSION_FAILED', message: input.message }
  return start({ trigger: delivery.trigger, input: input.value, firing: delivery.id })
}

function inputOf({ id, body, receivedAt, definition }: Due): Evaluated<Json> {
  const value = JSON.parse(body) as Json
  if (!definition.input) return { ok: true, value }
  const template = compileTriggerTemplate(definition.input, WEBHOOK_SEES, ['input'], new IssueList())
  const delivery = { id: encodeId('webhookDelivery', id), receivedAt: receivedAt.toISOString() }
  return template.evaluate({ ...NO_EXECUTION, body: value, delivery })
}

function statusOf(result: TriggeredResult | undefined, { expired }: Due): DeliveryStatus {
  if (!result) return 'RECEIVED'
  if (result.ok) return 'STARTED'
  return result.code === 'LIMIT_REACHED' && !expired ? 'RECEIVED' : 'REFUSED'
}

function toRow(delivery: Due, result: TriggeredResult): object {
  const { id } = delivery
  const status = statusOf(result, delivery)
  if (result.ok) return { id, status, execution_id: result.executionId }
  const message = result.message.slice(0, 1_000).toWellFormed().replaceAll('\0', '')
  const pauseMs = Math.min(Math.max(result.retryAfterMs ?? 1_000, 1_000), LONGEST_PAUSE_MS)
  return { id, status, error_code: result.code, error_message: message, pause_ms: pauseMs }
}

const TAKE = `
  update sluice.webhook_deliveries d
  set due_at = clock_timestamp() + make_interval(secs => ${TAKEN_S}), attempts = d.attempts + 1
  from sluice.triggers t
  where t.id = d.trigger_id and d.id in (
    select w.id from sluice.webhook_deliveries w where w.due_at <= clock_timestamp() order by w.due_at limit $1 for update skip locked)
  returning d.id, d.body, d.received_at as "receivedAt", d.received_at < clock_timestamp() - ${GIVE_UP} as expired,
    t.removed_at is not null as removed, t.definition, json_build_object(
      'id', t.id, 'type', t.type, 'name', t.name, 'flowId', t.flow_id, 'publishedBy', t.published_by) as trigger`

const END = `
  update sluice.webhook_deliveries d
  set status = r.status, execution_id = r.execution_id, error_code = r.error_code, error_message = r.error_message,
    due_at = case when r.status = 'RECEIVED' then clock_timestamp() + make_interval(secs => r.pause_ms / 1000) end
  from json_to_recordset($1::json) as r(id uuid, status text, execution_id uuid, error_code text, error_message text, pause_ms float8)
  where d.id = r.id and d.status = 'RECEIVED'`
