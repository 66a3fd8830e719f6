/** Reads what executions that the caller was shown wait for: with who holds them, and whether workers are there. */
import type { Execution } from '../../engine/entities/execution.ts'
import type { EventType } from '../../engine/states.ts'
import type { Call } from '../call.ts'
import { readPools } from '../workers/read-pools.ts'
import { readSlots } from './read-slots.ts'
import { executionWaitsFor, NO_MORE, waitsForTurn } from './waiting-for.ts'
import type { Waiting } from './waiting-for.ts'

/** What is due is taken up at once: after so long nobody is there. */
const OVERDUE_MS = 3000

/** In the order of `executions`. A statement for each kind of question that comes up, for all of them. */
export async function readWaiting(call: Call, executions: readonly Execution[]): Promise<(Waiting | null)[]> {
  const found = executions.map((execution) => ({ execution, waiting: executionWaitsFor(execution) }))
  const now = call.services.database.clock.now()
  for (const one of found) {
    const { until, kind } = one.waiting ?? {}
    const isOverdue = until != null && until.getTime() + OVERDUE_MS < now && kind !== 'SLOT'
    if (isOverdue && !one.execution.owner) one.waiting = { ...NO_MORE, kind: 'WORKER', since: until }
  }
  // what nobody holds any more waits for that, whatever it waited for before
  await findLost(call, found)
  await Promise.all([
    findSlots(call, found),
    findHolders(call, found),
    findQueues(call, found),
    findPools(call, found),
    hideErrors(call, found),
  ])
  return found.map(({ waiting }) => waiting)
}

interface Found {
  readonly execution: Execution
  waiting: Waiting | null
}

/** What stands in the queue of its flow. */
async function findSlots(call: Call, found: Found[]): Promise<void> {
  const asked = found.filter(({ waiting }) => waiting?.kind === 'SLOT')
  if (asked.length === 0) return
  const slots = await readSlots(
    call,
    asked.map(({ execution }) => execution.id),
  )
  for (const [at, one] of asked.entries()) if (slots[at]) one.waiting = waitsForTurn(slots[at], one.execution)
}

/** Those whose worker is gone, and that nobody has taken over yet. */
async function findLost({ services }: Call, found: Found[]): Promise<void> {
  const owners = [...new Set(found.flatMap(({ execution }) => execution.owner ?? []))]
  if (owners.length === 0) return
  const rows = await services.database.query<{ id: string; since: Date | null; workers: number }>(
    `select o.id, w.expires_at as since, (select count(*) from sluice.workers where expires_at > now())::integer as workers
     from unnest($1::uuid[]) as o(id) left join sluice.workers w on w.id = o.id where w.id is null or w.expires_at < now()`,
    [owners],
  )
  const lost = new Map(rows.map((row) => [row.id, row]))
  for (const one of found) {
    const row = lost.get(one.execution.owner ?? '')
    if (row) one.waiting = { ...NO_MORE, kind: 'WORKER', since: row.since ?? one.execution.lastEventAt, workers: row.workers }
  }
}

const TOLD_BY: Partial<Record<Waiting['kind'], EventType>> = {
  PAUSED: 'execution.paused',
  CANCELING: 'execution.cancelRequested',
}

/** Who paused or canceled it, and when: it is near the end of its history. */
async function findHolders({ services }: Call, found: Found[]): Promise<void> {
  const asked = found.filter(({ waiting }) => waiting && TOLD_BY[waiting.kind])
  if (asked.length === 0) return
  const rows = await services.database.query<{ id: string; at: Date; by: string | null }>(
    `select wanted.id, found.at, found.data ->> 'by' as by from unnest($1::uuid[], $2::text[]) as wanted(id, type)
     cross join lateral (select e.at, e.data from sluice.events e where e.execution_id = wanted.id and e.type = wanted.type
       order by e.seq desc limit 1) as found`,
    [asked.map(({ execution }) => execution.id), asked.map(({ waiting }) => TOLD_BY[waiting!.kind])],
  )
  const events = new Map(rows.map((row) => [row.id, row]))
  for (const one of asked) {
    const event = events.get(one.execution.id)
    if (event) one.waiting = { ...one.waiting!, since: event.at, by: event.by }
  }
}

/** How many of the same initiator are claimed first: initiators take turns. */
async function findQueues({ services }: Call, found: Found[]): Promise<void> {
  const asked = found.filter(({ waiting, execution }) => waiting?.kind === 'WORKER' && !execution.owner)
  if (asked.length === 0) return
  const rows = await services.database.query<{ id: string; ahead: number; workers: number; pool: string | null }>(
    `select e.id, nullif(e.pool, 'default') as pool,
       (select count(*) from sluice.workers w where w.expires_at > now() and e.pool = any (w.pools))::integer as workers,
       (select count(*) from (select from sluice.executions x
         where x.owner is null and x.wake_at is null and x.status in ('PENDING', 'RUNNING') and x.pool = e.pool
           and x.initiator_id = e.initiator_id
           and (x.priority > e.priority or (x.priority = e.priority and x.id < e.id)) limit 1000) as first)::integer as ahead
     from sluice.executions e where e.id = any($1)`,
    [asked.map(({ execution }) => execution.id)],
  )
  const queues = new Map(rows.map(({ id, ...queue }) => [id, queue]))
  for (const one of asked) one.waiting = { ...one.waiting!, ...queues.get(one.execution.id) }
}

/** Who serves the pools that steps wait for. */
async function findPools(call: Call, found: Found[]): Promise<void> {
  const asked = found.filter(({ waiting }) => waiting?.kind === 'POOL')
  const pools = [...new Set(asked.map(({ waiting }) => waiting!.pool!))]
  const byPool = new Map((await readPools(call, pools)).map((row) => [row.pool, row]))
  for (const one of asked) one.waiting = { ...one.waiting!, ...byPool.get(one.waiting!.pool!) }
}

/** Messages of failures may quote what is sensitive. */
async function hideErrors({ services }: Call, found: Found[]): Promise<void> {
  const telling = found.filter(({ waiting }) => waiting?.error)
  if (telling.length === 0) return
  const masks = await services.engine.masks(telling.map(({ execution }) => execution.id))
  for (const one of telling) {
    const error = one.waiting!.error!
    one.waiting = { ...one.waiting!, error: { ...error, message: masks.get(one.execution.id)!.text(error.message) } }
  }
}
