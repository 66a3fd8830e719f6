/** An execution as lines of a terminal: what it is, its steps with bars, and the last of what happened. Pure. */
import type { ExecutionEvent, ExecutionState, ExecutionView, FeedState, StepRun } from '../../../clients/feed/feed.ts'
import { connectionOf } from './connection.ts'
import { bar, lasting, line, lookOf, padded, toned, widthOf } from './paint.ts'
import type { Paint, Piece, Tone } from './paint.ts'
import { describe } from './event-text.ts'

const BAR = 20
const NAME = 28
/** the history keeps so many lines, if there are any */
const LEAST_HISTORY = 4

export function drawExecution({ view, ...feed }: FeedState<ExecutionView>, paint: Paint): string[] {
  const { execution, steps, events } = view
  if (!execution) return [line([toned('dim', waitingText(feed))], paint)]
  const head = [line(titleOf(execution), paint), line([...standingOf(execution, paint), '   ', ...connectionOf(feed)], paint)]
  const trouble = execution.error ? [line([toned('red', `${execution.error.code}: ${execution.error.message}`)], paint)] : []
  const gaps = feed.gaps.map(({ reason }) => line([toned('yellow', `Part of the history is not there: ${reason}.`)], paint))
  const own = steps.filter(({ path, name }) => path === name)
  const names = Math.min(NAME, Math.max(...own.map(({ name }) => widthOf(name)), 4))
  const room = paint.rows - head.length - trouble.length - gaps.length - 2
  const shown = fitting(own, Math.max(1, room - Math.min(LEAST_HISTORY, events.length)))
  const left = Math.max(0, room - shown.length - (shown.length < own.length ? 1 : 0))
  return [
    ...[...head, ...trouble, ...gaps, ''],
    ...shown.map((step) => line(stepLine(step, names, paint), paint)),
    ...(shown.length < own.length ? [line([toned('dim', `  … and ${own.length - shown.length} more steps`)], paint)] : []),
    ...(events.length > 0 && left > 0 ? ['', ...events.slice(-left).map((event) => line(eventLine(event), paint))] : []),
  ].slice(0, paint.rows)
}

const waitingText = ({ ending, problem }: Pick<FeedState<never>, 'ending' | 'problem'>): string =>
  ending ? `The feed ended: ${ending.errors[0]?.message ?? ending.reason}` : `Connecting … ${problem ?? ''}`

function titleOf({ id, flow, flowVersion }: ExecutionState): Piece[] {
  const version = flowVersion ? ` v${flowVersion.number}` : ''
  return [toned('bold', `${flow?.name ?? 'execution'}${version}`), '  ', toned('dim', id)]
}

function standingOf(execution: ExecutionState, { now }: Paint): Piece[] {
  const { status, startedAt, durationMs, progress, reason } = execution
  const { symbol, tone } = lookOf(status)
  const took = durationMs ?? (startedAt === null ? undefined : now - Date.parse(startedAt))
  return [
    toned(tone, `${symbol} ${status}`),
    ...(took === undefined ? [] : [`  ${lasting(took)}`]),
    ...['  ', ...bar(progress.total === 0 ? 0 : progress.finished / progress.total, BAR)],
    ` ${progress.finished}/${progress.total} steps`,
    ...(progress.failed > 0 ? [toned('red', `, ${progress.failed} failed`)] : []),
    ...(reason === null ? [] : [toned('dim', `  ${reason}`)]),
  ]
}

/** The ones that count most when not all of them fit: what runs and waits, then what failed, then the rest, all in their order. */
function fitting(steps: readonly StepRun[], most: number): readonly StepRun[] {
  if (steps.length <= most) return steps
  const rank = ({ status }: StepRun): number => RANKS.indexOf(status)
  const chosen = new Set(steps.toSorted((a, b) => rank(b) - rank(a)).slice(0, most))
  return steps.filter((step) => chosen.has(step))
}
const RANKS = ['SKIPPED', 'PENDING', 'SUCCEEDED', 'CANCELED', 'FAILED', 'WAITING', 'RUNNING']

function stepLine(step: StepRun, names: number, { now }: Paint): Piece[] {
  const { name, type, status, startedAt, finishedAt, route, error, attempt } = step
  const { symbol, tone } = lookOf(status)
  const until = finishedAt === null ? now : Date.parse(finishedAt)
  const lasts = startedAt === null || status === 'SKIPPED' ? '' : lasting(until - Date.parse(startedAt))
  return [
    ...['  ', toned(tone, symbol), ' '],
    status === 'PENDING' || status === 'SKIPPED' ? toned('dim', padded(name, names)) : padded(name, names),
    ...['  ', toned('dim', padded(type, 10)), padded(lasts, 9)],
    ...barOf(step),
    ...(status === 'WAITING' ? [toned('yellow', waitOf(step, now))] : []),
    ...(route === null ? [] : [toned('blue', ` → ${route}`)]),
    ...(attempt > 1 ? [toned('yellow', ` attempt ${attempt}`)] : []),
    ...(error === null ? [] : [toned('red', ` ${error.code}: ${error.message}`)]),
  ]
}

/** ` for the ceo, 12.3 s left` */
function waitOf({ waitingFor }: StepRun, now: number): string {
  if (!waitingFor) return ''
  const { kind, role, signals, until } = waitingFor
  const what = role ?? (signals.length > 0 ? signals.join(', ') : kind.toLowerCase())
  return ` for ${what}${until === null ? '' : `, ${lasting(Date.parse(until) - now)} left`}`
}

/** Of a map or loop its items; of a step that reports, what it said. */
function barOf({ counts, progress, status }: StepRun): readonly Piece[] {
  if (counts) {
    const finished = counts.succeeded + counts.failed + counts.skipped
    const failed = counts.failed > 0 ? [toned('red', ` ${counts.failed} failed`)] : []
    return [' ', ...bar(counts.total === 0 ? 0 : finished / counts.total, BAR), ` ${finished}/${counts.total}`, ...failed]
  }
  if (!progress || status !== 'RUNNING') return []
  const { fraction, done, total, message } = progress
  const share = fraction ?? (done !== null && total ? done / total : undefined)
  const numbers =
    done === null ? (share === undefined ? '' : ` ${Math.round(share * 100)} %`) : ` ${done}${total === null ? '' : `/${total}`}`
  return [
    ...(share === undefined ? [] : [' ', ...bar(share, BAR)]),
    numbers,
    ...(message === null ? [] : [toned('dim', ` ${message}`)]),
  ]
}

export function eventLine(event: ExecutionEvent): Piece[] {
  const { at, type } = event
  return [toned('dim', at.slice(11, 23)), '  ', toned(toneOf(type), type.padEnd(19)), ' ', ...describe(event)]
}

function toneOf(type: string): Tone {
  if (/failed|late|timedOut|expired|canceled/.test(type)) return 'red'
  if (/succeeded|answered/.test(type)) return 'green'
  return /asked|waiting|retrying|paused/.test(type) ? 'yellow' : /log|progress/.test(type) ? 'cyan' : 'dim'
}

/** What is new since `before`, a line each, for outputs that are no terminal; and how it ended. */
export function tellExecution(before: FeedState<ExecutionView>, { view, status }: FeedState<ExecutionView>): Piece[][] {
  const told = before.view.events.at(-1)?.seq ?? 0
  const news = view.events.flatMap((event, at) => {
    if (event.seq <= told) return []
    const missing = event.seq - 1 - (view.events[at - 1]?.seq ?? 0)
    return [...(missing > 0 ? [[toned('dim', `… ${missing} events are not shown`)]] : []), eventLine(event)]
  })
  if (status !== 'ended' || before.status === 'ended' || !view.execution) return news
  const { status: how, durationMs, error } = view.execution
  const why = error ? [toned('red', `  ${error.code}: ${error.message}`)] : []
  return [...news, [toned(lookOf(how).tone, how), durationMs === null ? '' : ` after ${lasting(durationMs)}`, ...why]]
}
