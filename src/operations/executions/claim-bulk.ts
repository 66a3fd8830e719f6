/** What a call that does something to many executions means by its idempotency key: those that there were when it came first. */
import { hashOf } from '../../canonical-json.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { newUuid } from '../../ids.ts'
import type { Call } from '../call.ts'
import { requirePrincipal } from '../permissions.ts'

export interface KeyedBulk {
  filter: object
  reason?: string | undefined
  idempotencyKey?: string | undefined
}

const nameOf = (call: Call, verb: string, key: string) => [requirePrincipal(call).actsAs, `${verb}Executions`, key]
const hashOfBulk = ({ filter, reason }: KeyedBulk): Buffer => hashOf([filter, reason ?? null])

/** A UUIDv7: what is older was there when a call with this key came first; undefined: none came. Problem: IDEMPOTENCY_MISMATCH. */
export async function findBulk(call: Call, verb: string, bulk: KeyedBulk): Promise<string | Problem | undefined> {
  if (bulk.idempotencyKey === undefined) return undefined
  const [row] = await call.services.database.query<{ input_hash: Buffer; subject_id: string }>(
    'select input_hash, subject_id from sluice.idempotency_keys where principal_id = $1 and operation = $2 and key = $3',
    nameOf(call, verb, bulk.idempotencyKey),
  )
  if (row && !row.input_hash.equals(hashOfBulk(bulk))) return problem('IDEMPOTENCY_MISMATCH', { path: ['idempotencyKey'] })
  return row?.subject_id
}

/** From now on calls with this key mean what there is now, or what there was when another came first. As `findBulk`; kept like other keys. */
export async function claimBulk(call: Call, verb: string, bulk: KeyedBulk): Promise<string | Problem | undefined> {
  if (bulk.idempotencyKey === undefined) return undefined
  await call.services.database.query(
    `insert into sluice.idempotency_keys (principal_id, operation, key, input_hash, subject_id) values ($1, $2, $3, $4, $5)
     on conflict do nothing`,
    [...nameOf(call, verb, bulk.idempotencyKey), hashOfBulk(bulk), newUuid()],
  )
  return findBulk(call, verb, bulk)
}
