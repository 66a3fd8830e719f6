/** What triggers count for collectors (A9): times of schedules, answers of patterns, deliveries of webhooks, and what waits. */
import { Counter, Gauge, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import type { Database } from '../database/database.ts'
import type { FiringStatus } from './due-times.ts'
import { DELIVERY_STATUSES } from './entities/webhook-delivery.ts'
import type { PatternUses } from './patterns/pattern-uses.ts'
import type { Scheduler } from './scheduler.ts'
import type { DeliveryLoop } from './webhooks/delivery-loop.ts'

const FINAL = ['STARTED', 'SKIPPED', 'REFUSED', 'MISSED'] as const satisfies readonly FiringStatus[]

/** Through partial indexes, bounded. */
const WAITING = `
select (select count(*) from (select from sluice.schedule_firings where status = 'WAITING' limit 10000) as f)::integer as schedule,
  (select count(*) from (select from sluice.webhook_deliveries where due_at is not null limit 10000) as d)::integer as webhook`

export function measureTriggers(scheduler: Scheduler, database: Pick<Database, 'query'>, registry: Registry): void {
  new Gauge({
    ...{ name: 'sluice_triggers_waiting', registers: [registry], labelNames: ['type'] },
    help: 'Starts by triggers that wait, in the whole fleet; counted up to 10000.',
    async collect() {
      // without the database the others are told all the same
      const unknown = { schedule: Number.NaN, webhook: Number.NaN }
      const [row] = await database.query<typeof unknown>(WAITING).catch(() => [unknown])
      for (const [type, count] of Object.entries(row ?? unknown)) this.set({ type }, count)
    },
  })
  measureScheduler(scheduler, registry)
}

function measureScheduler(scheduler: Scheduler, registry: Registry): void {
  const registers = [registry]
  const firings = new Counter({
    ...{ name: 'sluice_schedule_firings_total', help: 'Times of schedules, by what this process made of them.', registers },
    labelNames: ['status'],
  })
  // a series that begins at 0 shows its first increase
  for (const status of FINAL) firings.inc({ status }, 0)
  const late = new Histogram({
    ...{ name: 'sluice_schedule_late_seconds', help: 'How late schedules were taken that were due.', registers },
    buckets: [0.1, 0.3, 1, 3, 10, 60, 600],
  })
  scheduler.onFired = ({ counts, lateMs }) => {
    for (const status of FINAL) if (counts[status]) firings.inc({ status }, counts[status])
    if (lateMs !== undefined) late.observe(lateMs / 1_000)
  }
}

export function measurePatterns(uses: PatternUses, registry: Registry): void {
  const registers = [registry]
  const answers = new Counter({
    ...{
      name: 'sluice_dispatches_total',
      help: 'Texts that a pattern matched, by whether the answer was there already.',
      registers,
    },
    labelNames: ['cached'],
  })
  const tokens = new Counter({
    name: 'sluice_dispatch_tokens_total',
    help: 'What patterns say that their answers took.',
    registers,
  })
  for (const cached of ['true', 'false']) answers.inc({ cached }, 0)
  uses.onUse = (use) => {
    answers.inc({ cached: String(use.cached) })
    tokens.inc(use.tokens)
  }
}

export function measureDeliveries(deliveries: DeliveryLoop, registry: Registry): void {
  const registers = [registry]
  const taken = new Counter({
    ...{ name: 'sluice_webhook_deliveries_total', help: 'Deliveries that were tried, by what became of them.', registers },
    labelNames: ['status'],
  })
  for (const status of DELIVERY_STATUSES) taken.inc({ status }, 0)
  deliveries.onTaken = (status) => taken.inc({ status })
}
