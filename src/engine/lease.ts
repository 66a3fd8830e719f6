/**
 * A worker's lease: one row per process start, renewed every third of the lease; executions hold its id as `owner`. A worker that
 * cannot renew for 80 % of its lease, by the monotonic clock, must stop acting before anybody can take over from it.
 */
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'

export interface Lease {
  readonly workerId: string
  /** false: act no more, launch nothing */
  readonly alive: boolean
  start(): Promise<void>
  /** Gives the lease up; what this worker still holds can be claimed at once. */
  stop(): Promise<void>
  runOnce(): Promise<void>
}

export interface LeaseOptions {
  workerId: string
  database: Database
  leaseMs: number
  log: Logger
  /** what it says of itself with each renewal */
  about(): About
  /** after each renewal: what this worker holds, as stored */
  onRenewed(stored: ReadonlyMap<string, StoredState>): void
  /** once, when the lease could not be renewed in time; it may come back */
  onLost(): void
}

/** For people, for who waits, and for whose turn it is (find-work.sql): `held` of `capacity` places are taken. */
interface About {
  pools: readonly string[]
  capacity: number
  held: number
  version?: string | undefined
}

/** `unread`: a word from another execution waits in its inbox. */
export interface StoredState {
  version: number
  unread: boolean
}

const RENEW_TEXT = `
  with renewed as (
    insert into sluice.workers (id, expires_at, pools, capacity, held, version)
    values ($1, clock_timestamp() + $2 * interval '1 millisecond', $3, $4, $5, $6)
    on conflict (id) do update set expires_at = excluded.expires_at, capacity = excluded.capacity, held = excluded.held returning id)
  select e.id, e.version, exists (select from sluice.inbox i where i.execution_id = e.id) as unread
  from renewed left join sluice.executions e on e.owner = renewed.id`

export function createLease({ workerId, database, leaseMs, log, about, onRenewed, onLost }: LeaseOptions): Lease {
  let renewedAt = Number.NEGATIVE_INFINITY
  let lost = false
  let watch: NodeJS.Timeout | undefined

  const alive = (): boolean => performance.now() - renewedAt < leaseMs * 0.8

  async function renew(): Promise<void> {
    const asked = performance.now()
    const { pools, capacity, held, version } = about()
    const said = [pools, capacity, held, version ?? null]
    const rows = await database.query<StoredState & { id: string | null }>(RENEW_TEXT, [workerId, leaseMs, ...said])
    // counted from the question: an answer that comes too late renews nothing
    renewedAt = asked
    watchOver()
    if (!alive()) return
    lost = false
    onRenewed(new Map(rows.flatMap((row) => (row.id === null ? [] : [[row.id, row]]))))
  }

  /** A timer may ring a moment early. */
  function watchOver(): void {
    clearTimeout(watch)
    const left = renewedAt + leaseMs * 0.8 - performance.now()
    if (left > 0) {
      watch = setTimeout(watchOver, Math.ceil(left))
      return
    }
    if (lost) return
    lost = true
    log.error({ workerId }, 'the lease could not be renewed in time: everything that runs here is stopped')
    onLost()
  }

  const loop = createLoop({
    name: 'lease',
    log,
    retryMs: leaseMs / 10,
    async runOnce() {
      await renew()
      return Math.max(0, renewedAt + leaseMs / 3 - performance.now())
    },
  })

  return {
    workerId,
    get alive() {
      return alive()
    },
    async start() {
      await renew()
      loop.start()
    },
    runOnce: renew,
    async stop() {
      await loop.stop()
      clearTimeout(watch)
      renewedAt = Number.NEGATIVE_INFINITY
      await database
        .query('update sluice.workers set expires_at = clock_timestamp() - interval $$1 second$$ where id = $1', [workerId])
        .catch((error: unknown) => log.warn({ err: error }, 'the lease could not be given up; it will expire'))
    },
  }
}
