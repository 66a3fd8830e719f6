/** Claims executions for a worker, in batches; the text of the functions is claim.sql beside it. */
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'

const CLAIM_TEXT = prepared('select id, initiator_id from sluice.claim_executions($1, $2, $3, $4)')
const OFFERED_TEXT = prepared('select id, initiator_id from sluice.claim_offered($1, $2::uuid[])')

export interface Claimed {
  id: string
  initiator_id: string
}

export interface Claim {
  worker: string
  wanted: number
  /** where the walk over initiators goes on: the last row's initiator of the claim before */
  afterInitiator: string | null
  /** false: only what is due, was told something or lost its worker; default true */
  ready?: boolean
}

/** At most `wanted` executions, now owned by `worker` with their epoch incremented; [] also when the worker's lease is over. */
export function claimExecutions(database: Database, { worker, wanted, afterInitiator, ready = true }: Claim): Promise<Claimed[]> {
  return database.query<Claimed>(CLAIM_TEXT, [worker, wanted, afterInitiator, ready])
}

/** Of `ids`, those that are ready and that nobody else is claiming: now owned by `worker`, as above. */
export function claimOffered(database: Database, worker: string, ids: readonly string[]): Promise<Claimed[]> {
  return database.query<Claimed>(OFFERED_TEXT, [worker, ids])
}

/**
 * Of `ids`, those that `worker` owns, with their epoch incremented: what it had launched of them, and cannot know the state of,
 * is late from here on.
 */
export async function reclaimExecutions(database: Database, worker: string, ids: readonly string[]): Promise<string[]> {
  const rows = await database.query<{ id: string }>(
    'update sluice.executions set epoch = epoch + 1 where id = any($1::uuid[]) and owner = $2 returning id',
    [ids, worker],
  )
  return rows.map(({ id }) => id)
}

/** ms since 1970 of the next sleeper's waking and of the next stored deadline; null when there is none. One index look each. */
export async function nextDue(database: Database): Promise<{ wakeAt: number | null; deadlineAt: number | null }> {
  const [row] = await database.query<{ wake_at: Date | null; deadline_at: Date | null }>(`
    select (select wake_at from sluice.executions where wake_at is not null order by wake_at limit 1) as wake_at,
           (select deadline_at from sluice.executions where deadline_at is not null order by deadline_at limit 1) as deadline_at`)
  return { wakeAt: row?.wake_at?.getTime() ?? null, deadlineAt: row?.deadline_at?.getTime() ?? null }
}

/** Executions whose flow deadline or cancel fence is over, whoever holds them. */
export async function findOverdue(database: Database, limit: number): Promise<string[]> {
  const rows = await database.query<{ id: string }>(
    'select id from sluice.executions where deadline_at <= now() order by deadline_at limit $1',
    [limit],
  )
  return rows.map(({ id }) => id)
}
