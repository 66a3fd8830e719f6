/** `schedule` in a definition's triggers: starts executions at the times of a cron pattern, or at an interval. */
import { z } from 'zod'
import { name, template } from '../any-step.ts'
import { IssueList } from '../issue-list.ts'
import { didYouMean } from '../nearest-name.ts'
import { readDuration } from '../read-duration.ts'
import type { Evaluated, Json, JsonObject } from '../values.ts'
import { scheduleTimes } from './schedule-times.ts'
import type { ScheduleTimes, Timetable } from './schedule-times.ts'
import { commonTriggerFields, compileTriggerTemplate, type AnyTrigger, type TriggerLanguage } from './trigger-language.ts'

/** What happens when it is due while an execution that it started has not ended. */
export const OVERLAPS = ['skip', 'queue', 'cancel', 'allow'] as const
export type Overlap = (typeof OVERLAPS)[number]
/** What of the times that nobody was there for. */
export const CATCH_UPS = ['none', 'last', 'all'] as const
export type CatchUp = (typeof CATCH_UPS)[number]

/** It has `cron` or `every`. */
export interface ScheduleTrigger extends AnyTrigger {
  readonly type: 'schedule'
  readonly cron?: string
  readonly every?: string
  readonly timezone?: string
  /** template of the input; sees `schedule`: its name, and the scheduled time */
  readonly input?: JsonObject
  readonly overlap?: Overlap
  readonly maxQueued?: number
  readonly catchUp?: CatchUp
  readonly jitter?: string
  readonly startAt?: string
  readonly endAt?: string
}

export interface ScheduleSpec {
  readonly times: ScheduleTimes
  readonly overlap: Overlap
  /** of `queue` */
  readonly maxQueued: number
  readonly catchUp: CatchUp
  /** each time fires up to so much later */
  readonly jitterMs: number
  /** of the execution for a scheduled time: ms since 1970 */
  input(time: number): Evaluated<Json>
}

const MINUTE_MS = 60_000
const MAX_JITTER_MS = 60 * MINUTE_MS
const MAX_QUEUED = 100
const DEFAULT_QUEUED = 10
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)$/
const CRON_FIELDS = /^(@[a-z]+|\S+(\s+\S+){4})$/

export const SCHEDULE_SEES = ['schedule'] as const

const schema = z.strictObject({
  type: z.literal('schedule').describe('Starts the flow at certain times.'),
  ...commonTriggerFields,
  cron: name.optional().describe('Minute, hour, day of the month, month, day of the week; or @hourly, @daily and so on.'),
  every: name.optional().describe('Instead of cron: an ISO 8601 duration of at least PT1M, counted from startAt.'),
  timezone: name.optional().describe('The IANA time zone of cron, such as Europe/Berlin; UTC unless given.'),
  input: template.optional().describe('Template of the input: sees schedule (name, time); {} unless given.'),
  overlap: z
    .enum(OVERLAPS)
    .optional()
    .describe('When the execution before has not ended: skip (unless given), queue, cancel it, or allow both.'),
  maxQueued: z.int().min(1).max(MAX_QUEUED).optional().describe(`With queue: how many may wait; ${DEFAULT_QUEUED} unless given.`),
  catchUp: z
    .enum(CATCH_UPS)
    .optional()
    .describe('Of the times when no server was there: none, the last (unless given), or all, up to a hundred.'),
  jitter: name
    .optional()
    .describe('Each time fires up to so much later, never after the next: an ISO 8601 duration, at most PT1H, at most every.'),
  startAt: name.optional().describe('Nothing before this date.'),
  endAt: name.optional().describe('Nothing after this date.'),
})

export const schedule: TriggerLanguage<ScheduleTrigger> = {
  schema,
  check: (trigger, { path, issues }) => void compileSchedule(trigger, path, issues),
}

/** What a trigger that was published means. A zone that this machine does not know any more makes one without times. */
export const specOf = (trigger: ScheduleTrigger): ScheduleSpec => compileSchedule(trigger, [], new IssueList())

/** Every problem goes to `issues`; a spec made with issues never runs. */
function compileSchedule(trigger: ScheduleTrigger, path: readonly string[], issues: IssueList): ScheduleSpec {
  const { cron, every, overlap = 'skip', maxQueued = DEFAULT_QUEUED, catchUp = 'last' } = trigger
  const of = (field: string): string[] => [...path, field]
  if ((cron === undefined) === (every === undefined))
    issues.add('INVALID_VALUE', path, 'a schedule has either cron or every', 'like "cron": "30 2 * * *" or "every": "PT15M"')
  const everyMs = every === undefined ? undefined : readDuration(every, of('every'), { issues }, MINUTE_MS)
  const jitterMs = trigger.jitter === undefined ? 0 : readDuration(trigger.jitter, of('jitter'), { issues })
  if (jitterMs > MAX_JITTER_MS) issues.add('INVALID_VALUE', of('jitter'), 'at most PT1H')
  else if (everyMs && jitterMs > everyMs) issues.add('INVALID_VALUE', of('jitter'), 'at most as long as "every"')
  if (trigger.maxQueued !== undefined && overlap !== 'queue')
    issues.add('INVALID_VALUE', of('maxQueued'), 'only "overlap": "queue" has a queue')
  if (trigger.timezone !== undefined && cron === undefined && every !== undefined)
    issues.add('INVALID_VALUE', of('timezone'), 'an interval has no time zone, only cron has')
  const startAt = readDate(trigger.startAt, of('startAt'), issues)
  const endAt = readDate(trigger.endAt, of('endAt'), issues)
  if (startAt !== undefined && endAt !== undefined && endAt < startAt)
    issues.add('INVALID_VALUE', of('endAt'), 'it is before startAt')
  const timezone = readZone(trigger.timezone, of('timezone'), issues)
  const table: Timetable = {
    ...(cron === undefined ? { everyMs: everyMs || MINUTE_MS } : { cron }),
    ...(timezone !== undefined && { timezone }),
    ...(startAt !== undefined && { startAt }),
    ...(endAt !== undefined && { endAt }),
  }
  const times = readTimes(table, path, issues)
  return { times, overlap, maxQueued, catchUp, jitterMs, input: compileInput(trigger, of('input'), issues) }
}

/** `schedule.time` is RFC 3339 in UTC. */
function compileInput({ name, input = {} }: ScheduleTrigger, path: readonly string[], issues: IssueList): ScheduleSpec['input'] {
  const template = compileTriggerTemplate(input, SCHEDULE_SEES, path, issues)
  return (at) => {
    const time = new Date(at).toISOString()
    return template.evaluate({ input: {}, steps: {}, execution: { id: '', startedAt: time }, schedule: { name, time } })
  }
}

const NEVER: ScheduleTimes = { next: () => undefined, last: () => undefined }

function readTimes(table: Timetable, path: readonly string[], issues: IssueList): ScheduleTimes {
  const { cron } = table
  const wrong = (message: string): ScheduleTimes => {
    issues.add('INVALID_VALUE', [...path, 'cron'], message, 'minute hour day month weekday, like "30 2 * * *" (02:30 every day)')
    return NEVER
  }
  if (cron !== undefined && !CRON_FIELDS.test(cron.trim())) return wrong('a cron pattern has five fields: at most once a minute')
  try {
    const times = scheduleTimes(cron === undefined ? table : { ...table, cron: cron.trim() })
    // whatever the bounds are, the pattern itself must come at all
    if (cron !== undefined && scheduleTimes({ cron }).next(0) === undefined) return wrong('no date is ever like this')
    return times
  } catch (error) {
    return wrong(error instanceof Error ? error.message.replace(/^CronPattern: /, '') : 'it is no cron pattern')
  }
}

/** undefined, with an issue, when it is wrong. */
function readZone(zone: string | undefined, path: readonly string[], issues: IssueList): string | undefined {
  if (zone === undefined) return undefined
  try {
    // offsets are zones too, for JavaScript; they know nothing of summer
    if (!/^[+-]/.test(zone)) return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone && zone
  } catch {
    // told below
  }
  const hint = (): string => didYouMean(zone, Intl.supportedValuesOf('timeZone')) ?? 'like "Europe/Berlin" or "UTC"'
  issues.add('INVALID_VALUE', path, 'there is no such time zone', hint)
  return undefined
}

function readDate(text: string | undefined, path: readonly string[], issues: IssueList): number | undefined {
  if (text === undefined) return undefined
  const at = RFC_3339.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(at)) return at
  issues.add('INVALID_VALUE', path, 'must be a date like 2030-01-31T09:00:00Z')
  return undefined
}
