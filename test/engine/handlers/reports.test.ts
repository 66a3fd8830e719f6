import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { readLine, readProgress, Reports } from '../../../src/engine/acts/reports.ts'
import type { Report } from '../../../src/engine/acts/reports.ts'
import type { HandlerCall } from '../../../src/engine/handlers/attempt.ts'
import type { HandlerHost } from '../../../src/engine/handlers/handler-host.ts'
import { checkPayload } from '../../../src/language/payload.ts'
import { MASK } from '../../../src/masking/mark.ts'
import { callOf, outputOf, startHost } from './house.ts'

/** All that an attempt reported, the last word last. */
async function reportsOf(host: HandlerHost, handler: string, input: HandlerCall['input'], more: Partial<HandlerCall> = {}) {
  const reports: Report[] = []
  await host.run(callOf(handler, input, { ...more, report: (said) => void reports.push(said) })).outcome
  return { lines: reports.flatMap(({ lines }) => lines), dropped: reports.map(({ dropped }) => dropped), reports }
}

test('what a handler says while it runs is reported: all lines in their order, and the last word of how far it is', async () => {
  const { lines, reports } = await reportsOf(await startHost(), 'tells', { times: 1_000_000 })
  expect(lines).toEqual([
    { message: 'begun', fields: { of: 1_000_000 } },
    { message: 'ended', fields: { truncated: true } },
  ])
  expect(reports.at(-1)!.progress).toEqual({ done: 1_000_000, total: 1_000_000, fraction: 1 })
  // a million words in a few reports
  expect(reports.length).toBeLessThan(10)
})

test('lines beyond a hundred are counted, and the history keeps 800 characters of each', async () => {
  const { lines, dropped } = await reportsOf(await startHost(), 'report', null)
  expect(lines.length).toBe(100)
  expect(new Set(lines.map(({ message }) => message.length))).toEqual(new Set([800]))
  expect(dropped.at(-1)).toBe(50)
})

test('secrets are not in what is reported, by their value and by their names (B9)', async () => {
  const { lines } = await reportsOf(await startHost(), 'tells', { times: 1, secret: 's' }, { secrets: { s: 'opensesame-1234' } })
  expect(lines[0]).toEqual({ message: 'begun', fields: { of: 1, key: MASK, note: `with ${MASK}` } })
})

test('what is sensitive is taken out of a line before it is cut, where half of it would not be found again (D2)', async () => {
  const host = await startHost()
  const hide = (text: string): string => text.replaceAll('xxxx', MASK)
  const { lines } = await reportsOf(host, 'report', null, { hide })
  expect(lines.length).toBe(100)
  for (const { message } of lines) expect(message).not.toContain('x')
  const short = await reportsOf(host, 'tells', { times: 1 }, { hide: () => MASK })
  expect(short.lines[0]!.message).toBe('begun')
})

test('a process that floods its channel is ended, and others are served meanwhile', async () => {
  const host = await startHost()
  const reports: Report[] = []
  const babbling = host.run(callOf('babbles', null, { report: (said) => void reports.push(said) })).outcome
  expect(await outputOf(host, 'echo', 1)).toBe(1)
  expect(await babbling).toMatchObject({ ok: false, code: 'HANDLER_CRASHED' })
  expect(reports.flatMap(({ lines }) => lines).length).toBeLessThanOrEqual(100)
})

describe('reports', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('are told at most once a second, later more seldom, whatever is said; the last word wins', () => {
    const told: { at: number; report: Report }[] = []
    const begun = Date.now()
    const reports = new Reports((report) => void told.push({ at: Date.now() - begun, report }))
    for (let i = 0; i < 600_000; i++) {
      reports.progress({ fraction: i / 600_000 })
      if (i % 10 === 0) vi.advanceTimersByTime(10)
    }
    const pauses = told.slice(1).map(({ at }, i) => at - told[i]!.at)
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1000)
    expect(told.length).toBeLessThan(150)
    expect(told[0]!.at).toBeLessThan(1000)
    expect(told.every(({ report }) => report.lines.length === 0)).toBe(true)
    expect(reports.close()?.progress?.fraction).toBeCloseTo(1, 2)
  })

  test('hold a bounded number of lines, and count the rest', () => {
    const told: Report[] = []
    const reports = new Reports((report) => void told.push(report))
    for (let i = 0; i < 100_000; i++) reports.line({ message: 'x'.repeat(10_000) })
    vi.advanceTimersByTime(10_000)
    expect(told.length).toBe(1)
    expect(told[0]).toMatchObject({ dropped: 99_900 })
    expect(JSON.stringify(told).length).toBeLessThan(100_000)
    expect(reports.close()).toBe(undefined)
  })

  test('are not told after the end', () => {
    const tell = vi.fn<(report: Report) => void>()
    const reports = new Reports(tell)
    reports.line({ message: 'a' })
    expect(reports.close(3)).toEqual({ lines: [{ message: 'a' }], dropped: 3 })
    vi.advanceTimersByTime(100_000)
    expect(tell).not.toHaveBeenCalled()
  })
})

test('whatever a handler gives as a line or as progress, it is read without an exception and can be stored', () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
  })
  fc.assert(
    fc.property(anything, anything, (message, fields) => {
      expect(checkPayload(readLine(message, fields), 10_000).ok).toBe(true)
      const progress = readProgress(message)
      if (progress) expect(checkPayload(progress, 10_000).ok).toBe(true)
      if (progress?.fraction !== undefined) expect(progress.fraction).toSatisfy((f: number) => f >= 0 && f <= 1)
    }),
  )
  expect(readProgress(0.5)).toEqual({ fraction: 0.5 })
  expect(readProgress(7)).toEqual({ fraction: 1 })
  expect(readProgress({ done: 3, total: 4, message: 'pages' })).toEqual({ done: 3, total: 4, fraction: 0.75, message: 'pages' })
  expect(readProgress({ message: 'soon' })).toEqual({ message: 'soon' })
  expect(readProgress({ done: 3 })).toBe(undefined)
})
