/** Stores what came through a webhook, once. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../../database/database.ts'
import { newUuid } from '../../ids.ts'

export interface DeliveryToStore {
  triggerId: string
  flowId: string
  /** the same key, or the same signature, is the same delivery */
  key: string
  signature: Buffer | null
  body: string
  replayOf?: string
}

export interface Stored {
  id: string
  /** it was there before */
  duplicate: boolean
  /** the delivery that it takes again */
  replayOf: string | null
}

/** Of one webhook, waiting to be started: whoever sends more has to wait. */
const MOST_WAITING = 1_000

/** undefined: too many of this webhook wait. */
export async function storeDelivery(em: EntityManager, delivery: DeliveryToStore): Promise<Stored | undefined> {
  const { triggerId, flowId, key, signature, body, replayOf = null } = delivery
  const known = async (): Promise<Stored | undefined> => {
    const [row] = await queryIn<Omit<Stored, 'duplicate'>>(em, KNOWN, [triggerId, key, signature])
    return row && { ...row, duplicate: true }
  }
  const [stored] = await queryIn<{ id: string }>(em, STORE, [
    ...[newUuid(), triggerId, flowId, key, signature, body, replayOf, MOST_WAITING],
  ])
  return stored ? { id: stored.id, duplicate: false, replayOf } : known()
}

const STORE = `
  insert into sluice.webhook_deliveries (id, trigger_id, flow_id, key, signature, body, replay_of)
  select $1, $2, $3, $4, $5, $6, $7
  where (select count(*) from (select from sluice.webhook_deliveries w where w.trigger_id = $2 and w.due_at is not null limit $8) as x) < $8
  on conflict do nothing returning id`

const KNOWN = `select id, replay_of as "replayOf" from sluice.webhook_deliveries where trigger_id = $1 and (key = $2 or signature = $3) order by id limit 1`
