/** What schedules count for collectors (A9): their times by what they came to, and how late they were. */
import { Counter, Histogram } from 'prom-client'
import type { Registry } from 'prom-client'
import type { FiringStatus } from './due-times.ts'
import type { Scheduler } from './scheduler.ts'

const FINAL = ['STARTED', 'SKIPPED', 'REFUSED', 'MISSED'] as const satisfies readonly FiringStatus[]

export function measureScheduler(scheduler: Scheduler, registry: Registry): void {
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
