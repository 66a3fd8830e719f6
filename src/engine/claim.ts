/** Claims executions for a worker, in batches; the text of the functions is claim.sql beside it. */
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import type { Logger } from '../log.ts'

const CLAIM_TEXT = prepared('select id, initiator_id, place from sluice.claim_next($1, $2, $3, $4, $5)')
const OFFERED_TEXT = prepared('select id, initiator_id from sluice.claim_offered($1, $2::uuid[], $3::text[])')

export interface Claimed {
  id: string
  initiator_id: string
}

export interface ClaimedNext extends Claimed {
  /** where the walk over initiators stands, the same in all rows of a claim */
  place: string
}

export interface Claim {
  worker: string
  pool: string
  wanted: number
  /** where the walk over initiators goes on: the place of the claim before; null: at the first one */
  afterInitiator: string | null
  /** false: only what is due, was told something or lost its worker; default true */
  ready?: boolean
}

/** At most `wanted` executions of the pool, now owned by `worker` with their epoch incremented; [] also when the worker's lease is over. */
export function claimExecutions(
  database: Database,
  { worker, pool, wanted, afterInitiator, ready = true }: Claim,
): Promise<ClaimedNext[]> {
  return database.query<ClaimedNext>(CLAIM_TEXT, [worker, wanted, afterInitiator, ready, pool])
}

/** Of `ids`, those that are of these pools and ready, and that nobody else is claiming: now owned by `worker`, as above. */
export function claimOffered(
  database: Database,
  worker: string,
  ids: readonly string[],
  pools: readonly string[],
): Promise<Claimed[]> {
  return database.query<Claimed>(OFFERED_TEXT, [worker, ids, pools])
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

const LEFT_MS = 2_000

/**
 * What a newer release wrote, as during a roll-out, goes to workers of that one: it wakes a little later, so that `worker` does not take
 * it again at once. What is in flight counts as no crash of `worker`: their claim is not the one after its own.
 */
export async function leaveExecutions(database: Database, worker: string, ids: readonly string[], log: Logger): Promise<void> {
  log.warn({ items: ids.length }, 'executions of a newer release are left to its workers')
  await database.query(
    `update sluice.executions set owner = null, epoch = epoch + 1, wake_at = clock_timestamp() + $3 * interval '1 millisecond'
     where id = any($1::uuid[]) and owner = $2`,
    [ids, worker, LEFT_MS],
  )
}

/** Executions whose flow deadline or cancel fence is over, whoever holds them. */
export async function findOverdue(database: Database, except: readonly string[], limit: number): Promise<string[]> {
  const rows = await database.query<{ id: string }>(
    `select id from sluice.executions where deadline_at <= now() and id <> all ($1::uuid[]) order by deadline_at limit $2`,
    [except, limit],
  )
  return rows.map(({ id }) => id)
}

/** What is due, or was told something, in pools that this worker does not serve: so long after, nobody there seems to take it. */
const ABANDONED_MS = 3_000

/**
 * Executions of other pools that time or a word should have moved by now: whoever looks at them fires what is due, and leaves the
 * rest to a worker of theirs. One index look a pool.
 */
export async function findAbandoned(
  database: Database,
  pools: readonly string[],
  except: readonly string[],
  limit: number,
): Promise<string[]> {
  const rows = await database.query<{ id: string }>(
    `with recursive others(pool) as (
       (select e.pool from sluice.executions e where e.wake_at is not null order by e.pool limit 1)
       union all
       select (select e.pool from sluice.executions e where e.wake_at is not null and e.pool > o.pool order by e.pool limit 1)
       from others o where o.pool is not null),
     late as (select now() - $2 * interval '1 millisecond' as since)
     select due.id from late, others o cross join lateral (select e.id from sluice.executions e
       where e.pool = o.pool and e.wake_at <= late.since and e.id <> all ($4::uuid[]) order by e.wake_at limit $3) as due
     where o.pool is not null and o.pool <> all ($1)
     union
     select told.id from (select e.id from late, sluice.inbox i join sluice.executions e on e.id = i.execution_id
       where i.sent_at <= late.since and e.pool <> all ($1) and e.id <> all ($4::uuid[]) and e.owner is null and e.ended_at is null
         and (e.wake_at is null or e.wake_at < '9999-12-31Z') limit $3) as told`,
    [pools, ABANDONED_MS, limit, except],
  )
  return rows.map(({ id }) => id)
}
