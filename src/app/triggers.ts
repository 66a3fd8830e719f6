/** What starts flows by itself: the scheduler of the process, and what comes through webhooks. */
import type { Registry } from 'prom-client'
import type { Database } from '../database/database.ts'
import type { Engine } from '../engine/engine.ts'
import type { Bus } from '../fleet/bus.ts'
import type { Logger } from '../log.ts'
import type { Services } from '../operations/call.ts'
import { createStartByTrigger } from '../operations/triggers/start-by-trigger.ts'
import { measureDeliveries, measureTriggers } from '../triggers/metrics.ts'
import { createDeliveryLoop } from '../triggers/webhooks/delivery-loop.ts'
import type { DeliveryLoop } from '../triggers/webhooks/delivery-loop.ts'
import { createScheduler } from '../triggers/scheduler.ts'
import type { Scheduler } from '../triggers/scheduler.ts'

export interface AppTriggersOptions {
  database: Database
  bus: Bus
  engine: Pick<Engine, 'cancel'>
  registry: Registry
  /** there when the first schedule fires */
  services: () => Services
  log: Logger
}

/** Not started. */
export function openScheduler({ database, bus, engine, registry, services, log }: AppTriggersOptions): Scheduler {
  const scheduler = createScheduler({
    ...{ database, bus, log, start: createStartByTrigger(services) },
    cancel: (executionId) => engine.cancel({ executionId, reason: 'A later time of its schedule came.' }),
  })
  measureTriggers(scheduler, database, registry)
  scheduler.onRefused = (id) => services().security.count('REFUSED_SCHEDULES', [{ kind: 'FLOW', id }])
  return scheduler
}

/** Not started. */
export function openDeliveries({ database, bus, registry, services, log }: Omit<AppTriggersOptions, 'engine'>): DeliveryLoop {
  const deliveries = createDeliveryLoop({ database, bus, log, start: createStartByTrigger(services) })
  measureDeliveries(deliveries, registry)
  return deliveries
}
