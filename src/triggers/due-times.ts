/** What becomes of the scheduled times of a schedule that are due: which are started, which wait, which are left out. Pure. */
import { createHash } from 'node:crypto'
import type { ScheduleSpec } from '../language/triggers/schedule.ts'
import { lastTimes } from '../language/triggers/schedule-times.ts'

/** Why there is a firing: its time came; nobody was there when it came; somebody asked for past times, or for one now. */
export type FiringCause = 'SCHEDULED' | 'CAUGHT_UP' | 'BACKFILLED' | 'ASKED_FOR'
/** WAITING: it is started as soon as it may. The others are final. */
export type FiringStatus = 'WAITING' | 'STARTED' | 'SKIPPED' | 'REFUSED' | 'MISSED'

export interface NewFiring {
  /** ms since 1970 */
  scheduledFor: number
  cause: FiringCause
  status: Extract<FiringStatus, 'WAITING' | 'SKIPPED' | 'MISSED'>
  reason?: string
}

export interface DueSchedule {
  id: string
  spec: ScheduleSpec
  /** the scheduled time that is due, and when it was to fire: ms since 1970 */
  nextFor: number
  nextAt: number
  /** an execution that it started has not ended */
  running: boolean
  /** firings at their time that wait already */
  waiting: number
}

export interface DueTimes {
  firings: readonly NewFiring[]
  /** those at their time that wait are not wanted any more */
  replacesWaiting: boolean
  /** undefined: there is none any more */
  next: { nextFor: number; nextAt: number } | undefined
}

/** A time that is later than this was missed: no server was there. */
export const GRACE_MS = 60_000
/** Of one schedule whose executions may overlap: only a limit holds them up. */
const MAX_WAITING = 100
/** Of `catchUp: all`; those before are left out. */
export const MAX_CAUGHT_UP = 100

/** `now`: database time. */
export function dueTimes(schedule: DueSchedule, now: number): DueTimes {
  const { spec, nextFor } = schedule
  const fireAt = (time: number): number => time + jitterOf(schedule, time)
  const due = lastTimes(spec.times, { after: nextFor, upTo: now, most: MAX_CAUGHT_UP + 1 })
  // with jitter the last ones may still have to wait
  while (due.length > 0 && fireAt(due.at(-1)!) > now) due.pop()
  due.unshift(nextFor)
  const last = due.at(-1)!
  const inTime = now - (due.length === 1 ? schedule.nextAt : fireAt(last)) <= GRACE_MS
  if (inTime) due.pop()
  const firings = caughtUp(spec, due, inTime)
  const replacesWaiting = inTime && spec.overlap === 'cancel'
  if (inTime)
    firings.push(
      atItsTime(
        schedule,
        last,
        firings.some(({ status }) => status === 'WAITING'),
      ),
    )
  const nextTime = spec.times.next(last)
  return {
    firings,
    replacesWaiting,
    next: nextTime === undefined ? undefined : { nextFor: nextTime, nextAt: fireAt(nextTime) },
  }
}

/** What the schedule says of times that were missed; of those that are left out one firing tells. */
function caughtUp({ catchUp }: ScheduleSpec, missed: readonly number[], inTime: boolean): NewFiring[] {
  // the last one is there when the present one is
  const wanted = catchUp === 'all' ? MAX_CAUGHT_UP : catchUp === 'last' && !inTime ? 1 : 0
  const from = Math.max(0, missed.length - wanted)
  const left = missed.slice(0, from)
  const firings: NewFiring[] = []
  if (left.length > 0) {
    const count = missed.length > MAX_CAUGHT_UP ? `more than ${MAX_CAUGHT_UP - wanted}` : left.length
    const reason = `No server was there; times that were left out: ${count} ("catchUp": "${catchUp}").`
    firings.push({ scheduledFor: left.at(-1)!, cause: 'CAUGHT_UP', status: 'MISSED', reason })
  }
  for (const scheduledFor of missed.slice(from)) firings.push({ scheduledFor, cause: 'CAUGHT_UP', status: 'WAITING' })
  return firings
}

function atItsTime({ spec, running, waiting }: DueSchedule, scheduledFor: number, afterOthers: boolean): NewFiring {
  const firing = { scheduledFor, cause: 'SCHEDULED' } as const
  const busy = running || waiting > 0 || afterOthers
  if (spec.overlap === 'skip' && busy) return { ...firing, status: 'SKIPPED', reason: 'The execution before it had not ended.' }
  const mostWaiting = spec.overlap === 'queue' ? spec.maxQueued : MAX_WAITING
  if (busy && waiting >= mostWaiting) return { ...firing, status: 'SKIPPED', reason: `${waiting} waited already.` }
  return { ...firing, status: 'WAITING' }
}

/** The same for the same time, whoever asks; ms. Never past the time after it, which nobody would look at meanwhile. */
export function jitterOf({ id, spec: { jitterMs, times } }: Pick<DueSchedule, 'id' | 'spec'>, time: number): number {
  if (jitterMs === 0) return 0
  const gap = (times.next(time) ?? Number.POSITIVE_INFINITY) - time
  return createHash('sha256').update(`${id} ${time}`).digest().readUInt32BE() % Math.min(jitterMs, gap)
}

/** The first time after `time`, and when it fires. */
export function nextAfter(schedule: Pick<DueSchedule, 'id' | 'spec'>, time: number): DueTimes['next'] {
  const nextFor = schedule.spec.times.next(time)
  return nextFor === undefined ? undefined : { nextFor, nextAt: nextFor + jitterOf(schedule, nextFor) }
}
