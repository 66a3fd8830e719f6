/** Removes what is older than it has to be kept, batch by batch; the text of the functions is remove-finished.sql beside it. */
import { auditEntry, recordAudit } from '../audit/record-audit.ts'
import type { AuditKeys } from '../audit/audit-keys.ts'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'

/** What goes, each with how old it has to be in `sluice.retention`, in the order in which it goes. */
export const REMOVABLE = ['executionPayloads', 'executions', 'idempotencyKeys'] as const
export type Removable = (typeof REMOVABLE)[number]

const LOWEST = '00000000-0000-0000-0000-000000000000'

/** Payloads go when their flow says so, if it may; and all others when the installation does. */
const CALLS: Record<Removable, { text: string; from: string }[]> = {
  executionPayloads: [
    { text: 'select removed, place from sluice.remove_flow_payloads($1, $2)', from: LOWEST },
    { text: `select removed, place from sluice.remove_finished('payloads', $1, $2)`, from: LOWEST },
  ],
  executions: [{ text: `select removed, place from sluice.remove_finished('executions', $1, $2)`, from: LOWEST }],
  idempotencyKeys: [{ text: `select removed, place::text from sluice.remove_idempotency_keys($1, $2)`, from: '-infinity' }],
}

/** Executions or keys of one transaction. */
const BATCH = 1_000

export interface RemovalOptions {
  database: Database
  auditKeys: Pick<AuditKeys, 'sign'>
  /** asked between batches */
  isStopping(): boolean
  batch?: number
}

/**
 * How many were removed. Each batch is a transaction with its own audit row, and is followed by a rest as long as it took: whoever
 * works on the same disk comes first.
 */
export async function removeOld(what: Removable, options: RemovalOptions): Promise<number> {
  let removed = 0
  for (const call of CALLS[what]) removed += await removeBy(call, what, options)
  return removed
}

async function removeBy(
  { text, from }: { text: string; from: string },
  what: Removable,
  { database, auditKeys, isStopping, batch = BATCH }: RemovalOptions,
): Promise<number> {
  let removed = 0
  for (let place: unknown = from; place != null && !isStopping();) {
    const began = performance.now()
    const done = await database.transaction(async (em) => {
      const [answer] = await queryIn<{ removed: number; place: unknown }>(em, text, [place, batch])
      if (answer && answer.removed > 0) {
        const facts = { type: 'retention.removed', metadata: { [what]: answer.removed } }
        await recordAudit(em, auditEntry({ origin: {}, services: { database, auditKeys } }, facts, { kind: 'SYSTEM' }))
      }
      return answer
    })
    removed += done?.removed ?? 0
    place = done?.place
    if (place != null) await pause(performance.now() - began)
  }
  return removed
}

/** Weeks of step runs and of events that nothing is left of: their names. */
export async function dropPartitions(database: Pick<Database, 'query'>): Promise<string[]> {
  const dropped: string[] = []
  for (;;) {
    const [row] = await database.query<{ name: string | null }>('select sluice.drop_partition() as name')
    if (!row?.name) return dropped
    dropped.push(row.name)
  }
}

/**
 * Words that nobody will read: their receiver has ended, or is gone. Not a matter of age: whoever claims looks past them each time.
 * A receiver that is not there may be a child that has still to be started, hence the hour.
 */
export async function removeDeadWords(database: Pick<Database, 'query'>): Promise<number> {
  let removed = 0
  for (;;) {
    const rows = await database.query(DEAD_WORDS, [BATCH])
    removed += rows.length
    if (rows.length < BATCH) return removed
  }
}

const DEAD_WORDS = `
  delete from sluice.inbox where (execution_id, key) in (
    select i.execution_id, i.key from sluice.inbox i left join sluice.executions e on e.id = i.execution_id
    where i.sent_at < now() - case when e.id is null then interval '1 hour' else interval '10 seconds' end
      and (e.id is null or e.ended_at is not null) limit $1)
  returning key`

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
