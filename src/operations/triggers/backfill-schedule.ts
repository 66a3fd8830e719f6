/** Starts executions for the scheduled times of a span in the past, such as those of a pause, one after the other. */
import { queryIn } from '../../database/database.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { specOf } from '../../language/triggers/schedule.ts'
import { lastTimes } from '../../language/triggers/schedule-times.ts'
import { insertFirings } from '../../triggers/fire-schedules.ts'
import type { Schedule } from '../../triggers/schedule.ts'
import type { Call } from '../call.ts'
import { changeSchedule, requireSchedule } from './change-schedule.ts'

const AUDIT = { done: 'schedule.backfilled', refused: 'schedule.backfillRefused' }

/** Scheduled times of one call. */
export const MAX_BACKFILL = 1_000

export interface BackfillSchedule {
  /** UUID of its trigger */
  id: string
  /** both ends included */
  from: Date
  to: Date
  /** only counts */
  dryRun?: boolean | undefined
}

export interface Backfilled {
  schedule: Schedule
  /** times that are started, or would be */
  times: readonly Date[]
  /** scheduled times of the span for which an execution was started before, or is waiting */
  alreadyStarted: number
}

/** A time that was started is not started again. Problems: NOT_FOUND, VALIDATION. Throws FORBIDDEN. */
export async function backfillSchedule(call: Call, { id, from, to, dryRun }: BackfillSchedule): Promise<Backfilled | Problem> {
  const { database, scheduler } = call.services
  const schedule = await requireSchedule(call, { id, audit: AUDIT })
  if (isProblem(schedule)) return schedule
  const wrong = checkSpan(from, to, database.clock.now())
  if (wrong) return wrong
  const found = lastTimes(specOf(schedule.definition).times, {
    ...{ after: from.getTime() - 1, upTo: to.getTime(), most: MAX_BACKFILL + 1 },
  }).map((time) => new Date(time))
  if (found.length > MAX_BACKFILL) return invalid('to', `There are more than ${MAX_BACKFILL} times; take a shorter span.`)
  const left = async (rows: Promise<{ time: Date }[]>): Promise<Date[]> => (await rows).map(({ time }) => time)
  if (dryRun) {
    const times = await left(database.query(LEFT, [id, found]))
    return { schedule, times, alreadyStarted: found.length - times.length }
  }
  const metadata = { from: from.toISOString(), to: to.toISOString() }
  const done = await changeSchedule(call, { id, audit: AUDIT, metadata }, async (em) => {
    const times = await left(queryIn(em, LEFT, [id, found]))
    const firings = times.map(
      (time) => ({ triggerId: id, scheduledFor: time.getTime(), cause: 'BACKFILLED', status: 'WAITING' }) as const,
    )
    await insertFirings(em, firings)
    return { times, alreadyStarted: found.length - times.length }
  })
  if (!isProblem(done)) scheduler.wake()
  return done
}

/** Of the scheduled times those that nothing was started for. */
const LEFT = `
select time from unnest($2::timestamptz[]) as time where not exists (select from sluice.schedule_firings f
  where f.trigger_id = $1 and f.scheduled_for = time and f.status in ('WAITING', 'STARTED')) order by time`

function checkSpan(from: Date, to: Date, now: number): Problem | undefined {
  if (from > to) return invalid('to', 'It is before `from`..')
  return to.getTime() > now ? invalid('to', 'It is in the future; those times come by themselves.') : undefined
}

const invalid = (field: string, message: string): Problem =>
  problem('VALIDATION', { issues: [{ code: 'INVALID_VALUE', path: [field], message }] })
