/** When a schedule fires: the times of a cron pattern in a time zone, or of an interval. Pure; times are ms since 1970. */
import { Cron } from 'croner'

/** What a schedule's times follow from: `cron` or `everyMs`. */
export interface Timetable {
  /** five fields, or a nickname such as `@daily` */
  readonly cron?: string
  /** IANA, of the cron pattern; UTC unless given */
  readonly timezone?: string
  /** counted from `startAt`; without it from 1970, so that PT15M is at :00, :15, :30 and :45 */
  readonly everyMs?: number
  /** nothing before it; a time at it counts */
  readonly startAt?: number
  /** nothing after it; a time at it counts */
  readonly endAt?: number
}

export interface ScheduleTimes {
  /** The first scheduled time later than `time`; undefined: there is none. */
  next(time: number): number | undefined
  /** The last scheduled time not later than `time`; undefined: there is none. */
  last(time: number): number | undefined
}

/**
 * A cron time that the clock leaps over (02:30, when 02:00 becomes 03:00) comes at the first moment after the leap; one that comes
 * twice when the clock is set back is taken once, the first time; so do lists and ranges of hours. Patterns whose hour or minute is `*`
 * or has a step go on through both hours.
 * Throws what croner throws when the pattern or the zone is wrong.
 */
export function scheduleTimes({ cron, timezone = 'UTC', everyMs = 1, startAt, endAt }: Timetable): ScheduleTimes {
  const { next, last } = cron === undefined ? intervalTimes(everyMs, startAt ?? 0) : cronTimes(cron, timezone)
  const low = startAt ?? Number.NEGATIVE_INFINITY
  const high = endAt ?? Number.POSITIVE_INFINITY
  const within = (at: number | undefined): number | undefined => (at !== undefined && low <= at && at <= high ? at : undefined)
  return {
    next: (time) => within(next(Math.max(time, low - 1))),
    last: (time) => within(last(Math.min(time, high))),
  }
}

function cronTimes(pattern: string, timezone: string): ScheduleTimes {
  // without a function to call, croner sets no timer
  const cron = new Cron(pattern, { mode: '5-part', timezone, fixedTimeRule: 'no-wildcard' })
  return {
    next: (time) => cron.nextRun(new Date(time))?.getTime(),
    // it looks for what is before a moment, in whole seconds
    last: (time) => cron.previousRuns(1, new Date(Math.floor(time / 1000) * 1000 + 1000))[0]?.getTime(),
  }
}

function intervalTimes(everyMs: number, from: number): ScheduleTimes {
  const lastOf = (time: number): number => from + Math.floor((time - from) / everyMs) * everyMs
  return { next: (time) => lastOf(time) + everyMs, last: lastOf }
}

/** The first `most` scheduled times after `time`. */
export function nextTimes(times: ScheduleTimes, time: number, most: number): number[] {
  const found: number[] = []
  for (let at = times.next(time); at !== undefined && found.length < most; at = times.next(at)) found.push(at)
  return found
}

/** The last `most` scheduled times after `after` and not later than `upTo`, the oldest first. */
export function lastTimes(times: ScheduleTimes, { after, upTo, most }: { after: number; upTo: number; most: number }): number[] {
  const found: number[] = []
  for (let at = times.last(upTo); at !== undefined && at > after && found.length < most; at = times.last(at - 1)) found.push(at)
  return found.reverse()
}
