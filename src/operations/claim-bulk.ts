/** What a call that does something to many executions means by its idempotency key: those that there were when it came first. */
import { hashOf } from '../canonical-json.ts'
import { problem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import { newUuid } from '../ids.ts'
import type { Call } from './call.ts'
import { requirePrincipal } from './permissions.ts'

export interface BulkClaim {
  /** UUIDv7: only what is older */
  beforeId?: string
  /** it came before with this key */
  again: boolean
}

/** The key is kept like others: a call that is repeated goes on, and never takes in what came later. Problem: IDEMPOTENCY_MISMATCH. */
export async function claimBulk(
  call: Call,
  verb: string,
  { filter, reason, idempotencyKey }: { filter: object; reason?: string | undefined; idempotencyKey?: string | undefined },
): Promise<BulkClaim | Problem> {
  if (idempotencyKey === undefined) return { again: false }
  const of = [requirePrincipal(call).actsAs, `${verb}Executions`, idempotencyKey]
  const beforeId = newUuid()
  const inputHash = hashOf([filter, reason ?? null])
  const { database } = call.services
  const made = await database.query(
    `insert into sluice.idempotency_keys (principal_id, operation, key, input_hash, subject_id) values ($1, $2, $3, $4, $5)
     on conflict do nothing returning key`,
    [...of, inputHash, beforeId],
  )
  if (made.length > 0) return { beforeId, again: false }
  const [row] = await database.query<{ input_hash: Buffer; subject_id: string }>(
    'select input_hash, subject_id from sluice.idempotency_keys where principal_id = $1 and operation = $2 and key = $3',
    of,
  )
  if (!row?.input_hash.equals(inputHash)) return problem('IDEMPOTENCY_MISMATCH', { path: ['idempotencyKey'] })
  return { beforeId: row.subject_id, again: true }
}
