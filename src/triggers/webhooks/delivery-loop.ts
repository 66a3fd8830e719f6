/** The loop that starts what came through webhooks, and removes what came long ago. */
import type { Database } from '../../database/database.ts'
import type { Bus } from '../../fleet/bus.ts'
import type { Logger } from '../../log.ts'
import { createLoop } from '../../loop.ts'
import type { DeliveryStatus } from '../entities/webhook-delivery.ts'
import type { StartByTrigger } from '../start-by-trigger.ts'
import { processDeliveries } from './process-deliveries.ts'

/** Rung when something came. */
export const DELIVERIES_TOPIC = 'deliveries'

/** What a lost ring costs. */
const POLL_MS = 5_000
const CLEAN_EVERY_MS = 600_000

export interface DeliveryLoop {
  start(): void
  stop(): Promise<void>
  /** Starts what is due until nothing is. */
  runOnce(): Promise<void>
  /** called with what became of each that was taken; for metrics */
  onTaken?: (status: DeliveryStatus) => void
}

export interface DeliveryLoopOptions {
  readonly database: Pick<Database, 'query'>
  readonly bus: Bus
  readonly start: StartByTrigger
  readonly log: Logger
}

export function createDeliveryLoop({ database, bus, start, log }: DeliveryLoopOptions): DeliveryLoop {
  let unlisten: (() => void) | undefined
  let cleanedAt = Number.NEGATIVE_INFINITY

  async function runOnce(): Promise<void> {
    for (;;) {
      const statuses = await processDeliveries(database, start)
      if (statuses.length === 0) return
      for (const status of statuses) deliveries.onTaken?.(status)
    }
  }

  const loop = createLoop({
    name: 'deliveries',
    log,
    async runOnce() {
      await runOnce()
      if (performance.now() - cleanedAt > CLEAN_EVERY_MS) {
        cleanedAt = performance.now()
        await database.query(REMOVE)
      }
      return POLL_MS
    },
  })

  const deliveries: DeliveryLoop = {
    runOnce,
    start() {
      unlisten = bus.listen(DELIVERIES_TOPIC, loop.wake)
      loop.start()
    },
    async stop() {
      unlisten?.()
      await loop.stop()
    },
  }
  return deliveries
}

/** As long as the payloads of executions; never less than a day, in which the same is not started twice. */
const REMOVE = `
  delete from sluice.webhook_deliveries where id in (
    select d.id from sluice.webhook_deliveries d
    where d.due_at is null
      and d.id < sluice.week_start_uuid(clock_timestamp() - (select make_interval(days => r.payload_days) from sluice.retention r))
    order by d.id limit 10000)`
