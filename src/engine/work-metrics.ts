/** What waits for this process and the fleet, and whether this process may work (A9): the commit queue, claims, the lease, ready work. */
import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { Database } from '../database/database.ts'
import { DEFAULT_POOL } from '../language/around/pool.ts'
import type { RunningEngine } from './create-engine.ts'

/** Counting further costs more than it tells. */
const COUNTED = 10_000

/** Index looks, bounded: what could be claimed now, and how long the oldest of it waits (a UUIDv7 begins with its time). */
const READY = `
select pool, count(*)::integer as ready, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as oldest
from (select pool, created_at from sluice.executions
  where owner is null and wake_at is null and status in ('PENDING', 'RUNNING') limit ${COUNTED}) as x group by pool`

export function measureWork(engine: RunningEngine, database: Pick<Database, 'query'>, registry: Registry): void {
  const registers = [registry]
  new Gauge({
    ...{ name: 'sluice_commit_queue', help: 'What waits to be committed by this process.', registers, labelNames: ['what'] },
    collect() {
      const { items, bytes } = engine.committer.waiting
      this.set({ what: 'transitions' }, items)
      this.set({ what: 'bytes' }, bytes)
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
  const oldest = new Gauge({
    ...{
      name: 'sluice_ready_oldest_seconds',
      help: 'How long the oldest execution is there that nobody has claimed yet.',
      registers,
    },
  })
  new Gauge({
    ...{
      name: 'sluice_executions_ready',
      help: `Executions that wait to be claimed, in the whole fleet, by pool; counted up to ${COUNTED}.`,
      registers,
      labelNames: ['pool'],
    },
    async collect() {
      // without the database the others are told all the same
      const rows = await database.query<{ pool: string; ready: number; oldest: number }>(READY).catch(() => undefined)
      this.reset()
      this.set({ pool: DEFAULT_POOL }, rows ? 0 : Number.NaN)
      for (const { pool, ready } of rows ?? []) this.set({ pool }, ready)
      oldest.set(rows ? Math.max(0, ...rows.map((row) => row.oldest)) : Number.NaN)
    },
  })
}
