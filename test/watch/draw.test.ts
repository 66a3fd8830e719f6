/** What `sluice watch` draws, as text: the same state always makes the same lines, none wider or more than the terminal has. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { executionFeed, executionsFeed, initialState } from '../../clients/feed/feed.ts'
import type { ExecutionEvent, ExecutionRow, ExecutionState, ExecutionView, FeedState, StepRun } from '../../clients/feed/feed.ts'
import { drawExecution, tellExecution } from '../../src/watch/draw/execution.ts'
import { describe } from '../../src/watch/draw/event-text.ts'
import { drawFleet, tellFleet } from '../../src/watch/draw/fleet.ts'
import { lasting, line, widthOf } from '../../src/watch/draw/paint.ts'
import { openScreen } from '../../src/watch/screen.ts'

const BEGAN = Date.parse('2026-03-01T12:00:00.000Z')
const at = (ms: number): string => new Date(BEGAN + ms).toISOString()
const PAINT = { columns: 100, rows: 24, colour: false, now: BEGAN + 12_345 }
const NO_NUMBERS = { total: 0, finished: 0, failed: 0, skipped: 0, running: 0 }

const execution = (over: Partial<ExecutionState> = {}): ExecutionState => ({
  ...{ id: 'exec_01m81e7nxsfer9a0m0q3fze9mk', status: 'RUNNING', version: 7, lastSeq: 5, createdAt: at(0), startedAt: at(0) },
  ...{ finishedAt: null, durationMs: null, reason: null, error: null, currentSteps: ['fan'] },
  ...{ progress: { ...NO_NUMBERS, total: 6, finished: 3 }, flow: { name: 'demo' }, flowVersion: { number: 3 } },
  ...over,
})
const step = (name: string, type: string, status: string, over: Partial<StepRun> = {}): StepRun => ({
  ...{ path: name, name, type, status, attempt: 1, startedAt: status === 'PENDING' ? null : at(1_000) },
  ...{ finishedAt: status === 'SUCCEEDED' || status === 'FAILED' ? at(1_250) : null },
  ...{ route: null, error: null, counts: null, progress: null, waitingFor: null },
  ...over,
})
const event = (seq: number, type: string, path: string | null, data: unknown = null): ExecutionEvent => ({
  ...{ seq, type, at: at(seq * 100), step: path, path, attempt: 1, data },
})
const stateOf = (view: Partial<ExecutionView>, over: Partial<FeedState<ExecutionView>> = {}): FeedState<ExecutionView> => ({
  ...{ ...initialState(executionFeed), status: 'live', view: { ...executionFeed.empty, ...view } },
  ...over,
})
const drawing = (lines: readonly string[]): string => `\n${lines.join('\n')}\n`

const STEPS = [
  step('prepare', 'transform', 'SUCCEEDED', { finishedAt: at(1_000) }),
  step('pick', 'route', 'SUCCEEDED', { route: 'few' }),
  step('fan', 'map', 'RUNNING', { counts: { total: 40, succeeded: 17, failed: 3, skipped: 0, running: 3 } }),
  step('fan', 'map', 'RUNNING', { path: 'fan.items[4]' }),
  step('load', 'handler', 'RUNNING', { attempt: 2, progress: { fraction: null, done: 3, total: 4, message: 'rows' } }),
  step('ask', 'agent', 'WAITING', { waitingFor: { kind: 'AGENT', role: 'ceo', signals: [], until: at(42_345) } }),
  step('charge', 'http', 'FAILED', { error: { code: 'HTTP_STATUS', message: '402 Payment Required' } }),
  step('many', 'transform', 'SKIPPED'),
  step('tell', 'notify', 'PENDING'),
]
const EVENTS = [
  event(1, 'execution.started', null),
  event(2, 'step.log', 'load', { message: 'loading', fields: { rows: 4 } }),
  event(3, 'step.progress', 'load', { done: 3, total: 4, message: 'rows' }),
  event(4, 'agent.asked', 'ask', { role: 'ceo', subject: 'Shall we?' }),
  event(5, 'step.failed', 'charge', { error: { code: 'HTTP_STATUS', message: '402 Payment Required' } }),
]

test('what a step was decided by is told in words, not as data', () => {
  const told = [
    event(1, 'route.taken', 'pick', { route: 'few' }),
    event(2, 'step.skipped', 'many', { why: 'pick did not take many' }),
    event(3, 'agent.answered', 'ask', { decision: 'APPROVE', answeredBy: 'user_1' }),
  ].map((one) => line(describe(one), { columns: 100, colour: false }).trim())
  expect(told).toEqual(['pick  → few', 'many  pick did not take many', 'ask  APPROVE by user_1'])
})

test('an execution that runs: its standing, each step with what matters of it, and what happened last', () => {
  const lines = drawExecution(stateOf({ execution: execution(), steps: STEPS, events: EVENTS }), PAINT)
  expect(drawing(lines)).toMatchInlineSnapshot(`
    "
    demo v3  exec_01m81e7nxsfer9a0m0q3fze9mk
    ● RUNNING  12.3 s  ██████████░░░░░░░░░░ 3/6 steps   live

      ✔ prepare  transform 0 ms
      ✔ pick     route     250 ms    → few
      ● fan      map       11.3 s    ██████████░░░░░░░░░░ 20/40 3 failed
      ● load     handler   11.3 s    ███████████████░░░░░ 3/4 rows attempt 2
      ◐ ask      agent     11.3 s    for ceo, 30.0 s left
      ✘ charge   http      250 ms    HTTP_STATUS: 402 Payment Required
      ∅ many     transform
      · tell     notify

    12:00:00.100  execution.started
    12:00:00.200  step.log            load  loading {"rows":4}
    12:00:00.300  step.progress       load  3/4 rows
    12:00:00.400  agent.asked         ask  ceo: Shall we?
    12:00:00.500  step.failed         charge  HTTP_STATUS: 402 Payment Required
    "
  `)
})

test('one that failed, followed over a connection that is lost, with a gap in its history', () => {
  const failed = execution({
    ...{ status: 'FAILED', durationMs: 65_432, reason: 'step charge failed', currentSteps: [] },
    error: { code: 'STEP_FAILED', message: 'The step charge failed.', step: 'charge' },
    progress: { ...NO_NUMBERS, total: 2, finished: 2, failed: 1 },
  })
  const over = { status: 'resuming', problem: '1006', gaps: [{ reason: 'RETENTION', after: 'c' }] } as const
  const lines = drawExecution(stateOf({ execution: failed, steps: STEPS.slice(6, 7), events: EVENTS.slice(4) }, over), PAINT)
  expect(drawing(lines)).toMatchInlineSnapshot(`
    "
    demo v3  exec_01m81e7nxsfer9a0m0q3fze9mk
    ✘ FAILED  1 m 05 s  ████████████████████ 2/2 steps, 1 failed  step charge failed   resuming: 1006
    STEP_FAILED: The step charge failed.
    Part of the history is not there: RETENTION.

      ✘ charge  http      250 ms    HTTP_STATUS: 402 Payment Required

    12:00:00.500  step.failed         charge  HTTP_STATUS: 402 Payment Required
    "
  `)
})

test('before anything came, and when it cannot be followed', () => {
  expect(drawExecution(initialState(executionFeed), PAINT)).toEqual(['Connecting …'])
  const refused = { reason: 'REFUSED', errors: [{ message: 'There is no such thing.' }] }
  expect(drawExecution(stateOf({}, { status: 'ended', ending: refused }), PAINT)).toEqual([
    'The feed ended: There is no such thing.',
  ])
})

test('where not all steps fit, those that run and wait are shown first', () => {
  const steps = Array.from({ length: 50 }, (_, n) =>
    step(`s${n}`, 'transform', n === 40 ? 'RUNNING' : n === 45 ? 'WAITING' : 'PENDING'),
  )
  const lines = drawExecution(stateOf({ execution: execution(), steps, events: EVENTS }), { ...PAINT, rows: 12 })
  expect(lines).toHaveLength(12)
  expect(lines.join('\n')).toContain('● s40')
  expect(lines.join('\n')).toContain('◐ s45')
  expect(lines.join('\n')).toContain('… and 46 more steps')
})

test('no line is wider than the terminal, no drawing higher, and nothing in a name or a text moves the cursor', () => {
  const unit = fc.constantFrom('a', ' ', '[', '2', 'J', 'é', '界', '😀', '\u0301', '\n', '\u001B', '\u009B', '\u202E', '\uD800')
  const text = fc.string({ unit, maxLength: 60 })
  const anything = fc.record({
    name: text,
    message: text,
    columns: fc.integer({ min: 10, max: 120 }),
    rows: fc.integer({ min: 4, max: 30 }),
  })
  fc.assert(
    fc.property(anything, ({ name, message, columns, rows }) => {
      const steps = [step(name, 'handler', 'FAILED', { error: { code: 'STEP_FAILED', message } })]
      const events = [event(1, 'step.log', name, { message }), event(2, 'step.failed', name, { code: 'X', message })]
      const lines = drawExecution(stateOf({ execution: execution({ flow: { name } }), steps, events }), {
        ...PAINT,
        columns,
        rows,
      })
      expect(lines.length).toBeLessThanOrEqual(rows)
      for (const each of lines) {
        expect(widthOf(each)).toBeLessThanOrEqual(columns)
        expect(each).not.toMatch(/[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/)
      }
    }),
    { numRuns: 50 },
  )
})

test('colours are there only where they are wanted, and take no width', () => {
  const coloured = drawExecution(stateOf({ execution: execution(), steps: STEPS, events: EVENTS }), { ...PAINT, colour: true })
  const plain = drawExecution(stateOf({ execution: execution(), steps: STEPS, events: EVENTS }), PAINT)
  expect(coloured.join('\n')).toContain('\u001B[36m● RUNNING\u001B[39m')
  expect(coloured.map((each) => each.replaceAll(/\u001B\[\d+m/g, '').trimEnd())).toEqual(plain)
})

const row = (n: number, over: Partial<ExecutionRow>): ExecutionRow => ({
  ...{ id: `exec_${n}`, status: 'RUNNING', version: 1, createdAt: at(n), startedAt: at(n), finishedAt: null, durationMs: null },
  ...{ currentSteps: ['ask'], progress: { total: 4, finished: 1, failed: 0 }, error: null, flow: { name: 'demo' } },
  ...over,
})
const ROWS = [
  row(5, { status: 'WAITING' }),
  row(4, {
    status: 'SUCCEEDED',
    finishedAt: at(9),
    durationMs: 5,
    currentSteps: [],
    progress: { total: 4, finished: 4, failed: 0 },
  }),
  row(3, { status: 'FAILED', finishedAt: at(8), durationMs: 5, error: { code: 'STEP_FAILED', message: 'no' }, flow: null }),
  row(2, {}),
]

test('the fleet: counts, then what is under way, then what ended last', () => {
  const state = { ...initialState(executionsFeed), status: 'live', view: { executions: ROWS } } as const
  expect(drawing(drawFleet(state, PAINT))).toMatchInlineSnapshot(`
    "
    ● 1 RUNNING  ◐ 1 WAITING  ✔ 1 SUCCEEDED  ✘ 1 FAILED  live

      ◐ demo  exec_5  12.3 s   ███░░░░░░░░░ 1/4    ask
      ● demo  exec_2  12.3 s   ███░░░░░░░░░ 1/4    ask
      ✔ demo  exec_4  5 ms     ████████████ 4/4
      ✘ -     exec_3  5 ms     ███░░░░░░░░░ 1/4    STEP_FAILED: no
    "
  `)
  expect(drawFleet(state, { ...PAINT, rows: 4 })).toHaveLength(4)
})

test('without a terminal each event, and each new status of the fleet, is a line', () => {
  const text = (pieces: Parameters<typeof line>[0]): string => line(pieces, { columns: Number.POSITIVE_INFINITY, colour: false })
  const before = stateOf({ execution: execution(), steps: STEPS, events: EVENTS.slice(0, 3) })
  const end = execution({ status: 'SUCCEEDED', durationMs: 3_456 })
  const later = [...EVENTS, event(9, 'execution.succeeded', null)]
  const after = stateOf({ execution: end, steps: STEPS, events: later }, { status: 'ended' })
  expect(drawing(tellExecution(before, after).map(text))).toMatchInlineSnapshot(`
    "
    12:00:00.400  agent.asked         ask  ceo: Shall we?
    12:00:00.500  step.failed         charge  HTTP_STATUS: 402 Payment Required
    … 3 events are not shown
    12:00:00.900  execution.succeeded
    SUCCEEDED after 3.4 s
    "
  `)
  const fleet = (executions: readonly ExecutionRow[]) => ({ ...initialState(executionsFeed), view: { executions } })
  expect(drawing(tellFleet(fleet([row(4, {}), ROWS[3]!]), fleet(ROWS)).map(text))).toMatchInlineSnapshot(`
    "
    12:00:00.008  FAILED    exec_3  -  STEP_FAILED: no
    12:00:00.009  SUCCEEDED exec_4  demo
    12:00:00.005  WAITING   exec_5  demo
    "
  `)
})

test('times are told as people say them', () => {
  const told = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 86_399_999, 90_000_000].map(lasting)
  expect(told).toEqual(['0 ms', '999 ms', '1.0 s', '59.9 s', '1 m 00 s', '59 m 59 s', '1 h 00 m', '23 h 59 m', '1 d 01 h'])
})

test('a drawing takes the place of the one before, also when it is shorter, and the same one is not drawn again', () => {
  let written = ''
  const screen = openScreen({ columns: 40, rows: 10, write: (text) => (written += text) })
  expect([screen.columns, screen.rows]).toEqual([40, 9])
  screen.draw(['one', 'two', 'three'])
  const once = written
  screen.draw(['one', 'two', 'three'])
  expect(written).toBe(once)
  screen.draw(['four'])
  screen.end()
  expect(written.slice(once.length)).toBe('\u001B[3A\rfour\u001B[K\n\u001B[J\u001B[?25h')
})
