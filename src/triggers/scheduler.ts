/**
 * The one loop of a process for all schedules: it sleeps until the earliest of them is due, stores what is due, and starts what waits.
 * Nothing of a schedule is in memory; every process with a worker runs the loop, and each time is taken by one of them.
 */
import type { Database } from '../database/database.ts'
import { together } from '../database/together.ts'
import type { Bus } from '../fleet/bus.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import { fireSchedules } from './fire-schedules.ts'
import { forgetFirings } from './forget-firings.ts'
import type { FiringStatus, NewFiring } from './due-times.ts'
import type { StartByTrigger } from './start-by-trigger.ts'
import { executionsToCancel, startFirings } from './start-firings.ts'

/** Rung when a schedule was published, resumed, or asked to run. */
export const SCHEDULES_TOPIC = 'schedules'

/** What a lost ring costs. */
const LONGEST_PAUSE_MS = 10_000
/** While something waits for an execution to end. */
const WAITING_PAUSE_MS = 250
/** Firings that are as old as events may become are looked for this often. */
const FORGET_EVERY_MS = 3_600_000
/** A start that is not possible now is tried again so late at most, whatever the answer says. */
const LONGEST_WAIT_MS = 60_000

export interface SchedulerOptions {
  database: Database
  bus: Bus
  start: StartByTrigger
  /** asks for the end of an execution that holds up a later time */
  cancel(executionId: string): Promise<unknown>
  log: Logger
}

export interface Scheduler {
  start(): void
  stop(): Promise<void>
  /** Fires what is due, and starts what may start now. */
  runOnce(): Promise<void>
  /** called with what this process did with so many times, and with how late it was; for metrics */
  onFired?: (fired: { counts: Partial<Record<FiringStatus, number>>; lateMs: number | undefined }) => void
  /** called with the flow of each firing that could not be started */
  onRefused?: (flowId: string) => void
  /** Tells every process that something is due, or soon will be. */
  wake(): void
  /** Starts what waits of one schedule, if it may start now. */
  startWaiting(id: string): Promise<void>
}

const NEXT = `
select (extract(epoch from (select next_at from sluice.schedules where next_at is not null order by next_at limit 1) - clock_timestamp())
  * 1000)::float8 as ms, exists (select from sluice.schedule_firings where status = 'WAITING') as waiting`

export function createScheduler({ database, bus, start, cancel, log }: SchedulerOptions): Scheduler {
  /** schedules that are left alone until then: ms, monotonic */
  const blocked = new Map<string, number>()
  let unlisten: (() => void) | undefined
  let forgetAt = 0
  const loop = createLoop({
    name: 'schedules',
    log,
    async runOnce() {
      await runOnce()
      const [next] = await database.query<{ ms: number | null; waiting: boolean }>(NEXT)
      const most = next!.waiting ? WAITING_PAUSE_MS : LONGEST_PAUSE_MS
      return Math.min(next!.ms ?? most, most)
    },
  })

  async function runOnce(): Promise<void> {
    for (;;) {
      const { schedules, firings, lateMs, more } = await fireSchedules(database)
      const counts = { SKIPPED: countOf(firings, 'SKIPPED'), MISSED: countOf(firings, 'MISSED') }
      if (schedules > 0) scheduler.onFired?.({ counts, lateMs })
      if (!more) break
    }
    for (const executionId of await executionsToCancel(database)) await cancel(executionId)
    for (const [id, until] of blocked) if (until <= performance.now()) blocked.delete(id)
    for (;;) {
      const { tried, started, refused, ...left } = await startFirings(database, start, { except: [...blocked.keys()] })
      for (const { id, retryAfterMs } of left.blocked)
        blocked.set(id, performance.now() + Math.min(retryAfterMs, LONGEST_WAIT_MS))
      if (tried === 0) break
      told(started, refused)
    }
    if (performance.now() < forgetAt) return
    await forgetFirings(database)
    forgetAt = performance.now() + FORGET_EVERY_MS
  }

  function told(started: number, refused: readonly string[]): void {
    scheduler.onFired?.({ counts: { STARTED: started, REFUSED: refused.length }, lateMs: undefined })
    for (const flowId of refused) scheduler.onRefused?.(flowId)
  }

  const scheduler: Scheduler = {
    start() {
      unlisten = bus.listen(SCHEDULES_TOPIC, () => loop.wake())
      loop.start()
    },
    async stop() {
      unlisten?.()
      await loop.stop()
    },
    runOnce,
    wake: () => bus.ring(SCHEDULES_TOPIC),
    startWaiting: together(async (ids) => {
      // a start takes a connection while the transaction around it has one: one at a time, however many ask
      for (const only of new Set(ids)) {
        const { started, refused } = await startFirings(database, start, { only })
        told(started, refused)
      }
      return ids.map(() => undefined)
    }),
  }
  return scheduler
}

const countOf = (firings: readonly NewFiring[], status: FiringStatus): number =>
  firings.filter((firing) => firing.status === status).length
