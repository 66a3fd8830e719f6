/** What dispatch counts: offers that went to Redis, those that did not, and jobs that came out. */
import { Counter } from 'prom-client'
import type { Registry } from 'prom-client'

export interface OfferCounters {
  queued(offers: number): void
  lost(offers: number): void
  taken(jobs: number): void
}

export function countOffers(registry: Registry): OfferCounters {
  const offers = new Counter({
    name: 'sluice_dispatch_offers_total',
    help: 'Ready executions that this process told of, by whether Redis took it; the lost ones are found by looks.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  const jobs = new Counter({
    name: 'sluice_dispatch_jobs_total',
    help: 'Jobs that this worker took.',
    registers: [registry],
  })
  // a series that begins at 0 shows its first increase
  for (const outcome of ['queued', 'lost']) offers.inc({ outcome }, 0)
  return {
    queued: (count) => offers.inc({ outcome: 'queued' }, count),
    lost: (count) => offers.inc({ outcome: 'lost' }, count),
    taken: (count) => jobs.inc(count),
  }
}
