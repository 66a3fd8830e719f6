/** Schedules in definitions: what is refused, and when they fire: zones, the two days when clocks are set, intervals, bounds. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { specOf } from '../../src/language/triggers/schedule.ts'
import { lastTimes, nextTimes, scheduleTimes } from '../../src/language/triggers/schedule-times.ts'
import { dueTimes, nextAfter } from '../../src/triggers/due-times.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { allow, flowOf, step } from './example-definition.ts'

const issuesOf = (trigger: object): string[] =>
  validateDefinition({ ...flowOf({ a: step() }), triggers: [{ type: 'schedule', name: 's', ...trigger }] }, allow).issues.map(
    ({ code, path, hint }) => `${path.slice(2).join('.')} ${code}${hint ? ` (${hint})` : ''}`,
  )

test('every problem of a schedule is told at once, each with its path (C3)', () => {
  const found = issuesOf({
    ...{ cron: '61 * * * *', timezone: 'Europe/Berln', overlap: 'wait', catchUp: 'some', jitter: 'PT2H', startAt: 'soon' },
    ...{ endAt: '2030-02-31', input: { a: '${{ input.x }}', b: '${{ steps.a.output }}' }, zzzzzzzzzz: 5 },
  })
  const cron = 'minute hour day month weekday, like "30 2 * * *" (02:30 every day)'
  expect(found.toSorted()).toEqual(
    [
      'zzzzzzzzzz UNKNOWN_FIELD',
      'overlap INVALID_VALUE',
      'catchUp INVALID_VALUE',
      `cron INVALID_VALUE (${cron})`,
      'timezone INVALID_VALUE (did you mean "Europe/Berlin"?)',
      'jitter INVALID_VALUE',
      'startAt INVALID_VALUE',
      'endAt INVALID_VALUE',
      'input.a INVALID_EXPRESSION (expressions see schedule here)',
      'input.b UNKNOWN_STEP (expressions see schedule here)',
    ].toSorted(),
  )
})

test.each([
  ['both a pattern and an interval', { cron: '@daily', every: 'PT1H' }, ' INVALID_VALUE'],
  ['neither', {}, ' INVALID_VALUE'],
  ['seconds', { cron: '* * * * * *' }, 'cron INVALID_VALUE'],
  ['a date that never comes', { cron: '0 0 31 2 *' }, 'cron INVALID_VALUE'],
  ['a date instead of a pattern', { cron: '2030-01-01T00:00:00' }, 'cron INVALID_VALUE'],
  ['less than a minute', { every: 'PT59S' }, 'every INVALID_DURATION'],
  ['an offset as a zone', { cron: '@daily', timezone: '+01:00' }, 'timezone INVALID_VALUE'],
  ['a zone of an interval', { every: 'PT1H', timezone: 'Europe/Berlin' }, 'timezone INVALID_VALUE'],
  ['a delay that is longer than its interval', { every: 'PT5M', jitter: 'PT10M' }, 'jitter INVALID_VALUE'],
  ['a queue that it does not use', { every: 'PT1H', maxQueued: 5 }, 'maxQueued INVALID_VALUE'],
  [
    'an end before its beginning',
    { every: 'PT1H', startAt: '2030-01-02T00:00Z', endAt: '2030-01-01T00:00Z' },
    'endAt INVALID_VALUE',
  ],
])('a schedule with %s is refused', (_what, trigger, issue) => {
  expect(issuesOf(trigger).map((found) => found.replace(/ \(.*/, ''))).toEqual([issue])
})

test('the input of a schedule sees its name and the scheduled time alone', () => {
  const trigger = { type: 'schedule', name: 'nightly', cron: '@daily' } as const
  const input = { at: '${{ schedule.time }}', by: 'the ${{ schedule.name }} run', fixed: 5 }
  const time = Date.parse('2026-01-01T00:00Z')
  expect(issuesOf({ ...trigger, input })).toEqual([])
  expect(specOf({ ...trigger, input }).input(time)).toEqual({
    ok: true,
    value: { at: '2026-01-01T00:00:00.000Z', by: 'the nightly run', fixed: 5 },
  })
  expect(specOf(trigger).input(time)).toEqual({ ok: true, value: {} })
})

const at = (text: string): number => Date.parse(text)
const shown = (times: readonly number[]): string[] => times.map((time) => new Date(time).toISOString().slice(0, 16))
const berlin = (cron: string) => scheduleTimes({ cron, timezone: 'Europe/Berlin' })

test('02:30 comes once on the day it is leapt over, at the first moment after the leap, and once on the day it comes twice', () => {
  const times = berlin('30 2 * * *')
  expect(shown(nextTimes(times, at('2026-03-27T12:00Z'), 3))).toEqual([
    '2026-03-28T01:30',
    '2026-03-29T01:00',
    '2026-03-30T00:30',
  ])
  expect(shown(nextTimes(times, at('2026-10-24T12:00Z'), 2))).toEqual(['2026-10-25T00:30', '2026-10-26T01:30'])
})

test.each([
  ['30 2,14 * * *', [2, 2]],
  ['30 2,14 * * MON-SUN', [2, 2]],
  // those that the leap brings to one moment are one
  ['15,30 2 * * *', [1, 2]],
  ['0 1-3 * * *', [2, 3]],
])('each hour of a list comes once, on the day that leaps over it and on the day that has it twice: %s', (cron, counts) => {
  const times = berlin(cron)
  const of = (day: string): number =>
    lastTimes(times, { after: at(`${day}T00:00Z`) - 7_200_000, upTo: at(`${day}T20:00Z`), most: 20 }).length
  expect([of('2026-03-29'), of('2026-10-25')]).toEqual(counts)
})

test('what repeats within the hour goes on through both hours that are called the same', () => {
  const times = nextTimes(berlin('*/30 * * * *'), at('2026-10-24T23:59Z'), 6)
  expect(times.map((time, index) => time - times[0]! - index * 1_800_000)).toEqual([0, 0, 0, 0, 0, 0])
})

test('an interval counts from its beginning, else from 1970', () => {
  expect(shown(nextTimes(scheduleTimes({ everyMs: 900_000 }), at('2026-01-01T10:07Z'), 2))).toEqual([
    '2026-01-01T10:15',
    '2026-01-01T10:30',
  ])
  const later = scheduleTimes({ everyMs: 900_000, startAt: at('2026-01-01T10:08Z') })
  expect(shown(nextTimes(later, at('2025-01-01T00:00Z'), 2))).toEqual(['2026-01-01T10:08', '2026-01-01T10:23'])
  expect(later.last(at('2026-01-01T10:07Z'))).toBeUndefined()
})

test('a pattern of dates that never come has no next time', () => {
  expect(scheduleTimes({ cron: '30 2 31 2 *' }).next(at('2026-01-01T00:00Z'))).toBeUndefined()
})

const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'America/Havana']
const CRONS = [
  '30 2 * * *',
  '*/20 * * * *',
  '15 1-3 * * *',
  '30 2,14 * * *',
  '15,45 0,1,2,3 * * *',
  '0 0 1 * *',
  '0 9 * * MON-FRI',
  '5 0 29 2 *',
  '59 23 L * *',
  '@hourly',
]
const timetable = fc.oneof(
  fc.record({ cron: fc.constantFrom(...CRONS), timezone: fc.constantFrom(...ZONES) }),
  fc.record({ everyMs: fc.integer({ min: 60_000, max: 90 * 86_400_000 }) }),
)
/** moments from 2024 to 2029 */
const moment = fc.integer({ min: at('2024-01-01T00:00Z'), max: at('2029-01-01T00:00Z') })

test('looking back finds the same times as looking ahead', () => {
  fc.assert(
    fc.property(timetable, moment, (table, time) => {
      const times = scheduleTimes(table)
      const ahead = nextTimes(times, time, 5)
      expect(ahead).toEqual(ahead.toSorted((a, b) => a - b))
      for (const [index, found] of ahead.entries()) {
        expect(found).toBeGreaterThan(time)
        expect(times.last(found)).toBe(found)
        if (index > 0) expect(times.last(found - 1)).toBe(ahead[index - 1])
      }
      expect(lastTimes(times, { after: time, upTo: ahead.at(-1)!, most: 3 })).toEqual(ahead.slice(-3))
    }),
    { numRuns: 100 },
  )
})

test('nothing comes before the beginning or after the end', () => {
  fc.assert(
    fc.property(timetable, moment, fc.nat(40 * 86_400_000), moment, (table, startAt, length, time) => {
      const times = scheduleTimes({ ...table, startAt, endAt: startAt + length })
      for (const found of [times.next(time), times.last(time)]) {
        if (found === undefined) continue
        expect(found).toBeGreaterThanOrEqual(startAt)
        expect(found).toBeLessThanOrEqual(startAt + length)
      }
    }),
    { numRuns: 100 },
  )
})

test('with a delay that is longer than the gap between times each time still fires, in order, before the next one', () => {
  const tables = [{ every: 'PT5M' }, { cron: '*/7 * * * *' }, { cron: '0,1,30 9-10 * * *', timezone: 'Europe/Berlin' }]
  fc.assert(
    fc.property(fc.constantFrom(...tables), moment, fc.uuid(), (table, from, id) => {
      const spec = specOf({ ...table, type: 'schedule', name: 's', jitter: 'PT10M', overlap: 'allow' })
      const wanted = nextTimes(spec.times, from, 20)
      let next = nextAfter({ id, spec }, from)
      for (const time of wanted) {
        expect(next!.nextAt).toBeLessThan(spec.times.next(time)!)
        const due = dueTimes({ id, spec, ...next!, running: false, waiting: 0 }, next!.nextAt)
        expect(due.firings).toEqual([{ scheduledFor: time, cause: 'SCHEDULED', status: 'WAITING' }])
        next = due.next
      }
    }),
    { numRuns: 50 },
  )
})

test('a time is left out when a hundred of its schedule wait for a limit already', () => {
  const spec = specOf({ type: 'schedule', name: 's', every: 'PT1M', overlap: 'allow' })
  const next = nextAfter({ id: 's', spec }, at('2026-01-01T00:00Z'))!
  const firingsWith = (waiting: number) => dueTimes({ id: 's', spec, ...next, running: true, waiting }, next.nextAt).firings
  expect(firingsWith(99)).toMatchObject([{ status: 'WAITING' }])
  expect(firingsWith(100)).toMatchObject([{ status: 'SKIPPED', reason: '100 waited already.' }])
})
