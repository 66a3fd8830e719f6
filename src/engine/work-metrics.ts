/** What waits for this process and the fleet, and whether this process may work (A9): the commit queue, claims, the lease, ready work. */
import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { Database } from '../database/database.ts'
import { DEFAULT_POOL } from '../language/around/pool.ts'
import type { RunningEngine } from './create-engine.ts'

/** Counting further costs more than it tells. */
const COUNTED = 10_000

/**
 * Index looks, bounded: what could be claimed now, and how long the oldest of it has been so: since its last event (an answer came, a
 * child ended), since it got its slot, or since it is there.
 */
const READY = `
select x.pool, count(*)::integer as ready,
  coalesce(extract(epoch from now() - min(greatest(x.created_at, x.last_event_at, s.held_at))), 0)::float8 as oldest
from (select id, pool, created_at, last_event_at from sluice.executions
  where owner is null and wake_at is null and status in ('PENDING', 'RUNNING') limit ${COUNTED}) as x
left join lateral (select held_at from sluice.slots where execution_id = x.id) as s on true group by x.pool`

export function measureWork(engine: RunningEngine, database: Pick<Database, 'query'>, registry: Registry): void {
  const registers = [registry]
  new Gauge({
    ...{ name: 'sluice_commit_queue_transitions', help: 'Transitions that wait to be committed by this process.', registers },
    collect() {
      this.set(engine.committer.waiting.items)
    },
  })
  new Gauge({
    ...{ name: 'sluice_commit_queue_bytes', help: 'Bytes of what waits to be committed by this process.', registers },
    collect() {
      this.set(engine.committer.waiting.bytes)
    },
  })
  new Gauge({
    ...{ name: 'sluice_lease_held', help: '1 while this worker may work, 0 when it could not renew its lease.', registers },
    collect() {
      this.set(engine.worker.holdsLease ? 1 : 0)
    },
  })
  const claims = new Counter({ name: 'sluice_claims_total', help: 'Executions that this worker claimed.', registers })
  engine.worker.onClaim = (claimed) => claims.inc(claimed)
  measureReady(database, registers)
}

function measureReady(database: Pick<Database, 'query'>, registers: Registry[]): void {
  // all are collected at once: they share one look
  let looking: Promise<{ pool: string; ready: number; oldest: number }[] | undefined> | undefined
  const look = (): NonNullable<typeof looking> =>
    // without the database the others are told all the same
    (looking ??= database
      .query<{ pool: string; ready: number; oldest: number }>(READY)
      .catch(() => undefined)
      .finally(() => (looking = undefined)))
  new Gauge({
    name: 'sluice_ready_oldest_seconds',
    help: 'How long the oldest execution that nobody has claimed yet could have been claimed.',
    registers,
    async collect() {
      const rows = await look()
      this.set(rows ? Math.max(0, ...rows.map((row) => row.oldest)) : Number.NaN)
    },
  })
  new Gauge({
    name: 'sluice_executions_ready',
    help: `Executions that wait to be claimed, in the whole fleet, by pool; counted up to ${COUNTED}.`,
    registers,
    labelNames: ['pool'],
    async collect() {
      const rows = await look()
      this.reset()
      this.set({ pool: DEFAULT_POOL }, rows ? 0 : Number.NaN)
      for (const { pool, ready } of rows ?? []) this.set({ pool }, ready)
    },
  })
}
