/** All executions as lines of a terminal: what is under way first, then what ended last. Pure. */
import type { ExecutionRow, ExecutionsView, FeedState } from '../../../clients/feed/feed.ts'
import { connectionOf } from './connection.ts'
import { bar, lasting, line, lookOf, padded, toned, widthOf } from './paint.ts'
import type { Paint, Piece } from './paint.ts'

const BAR = 12
const NAME = 28
const STATUSES = ['RUNNING', 'WAITING', 'PAUSED', 'PENDING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'CANCELED']

export function drawFleet({ view, ...feed }: FeedState<ExecutionsView>, paint: Paint): string[] {
  const { executions } = view
  const active = executions.filter(({ finishedAt }) => finishedAt === null)
  const ended = executions
    .filter(({ finishedAt }) => finishedAt !== null)
    .toSorted((a, b) => (a.finishedAt! < b.finishedAt! ? 1 : -1))
  const shown = [...active, ...ended].slice(0, Math.max(1, paint.rows - 2))
  const names = Math.min(NAME, Math.max(...shown.map((row) => widthOf(nameOf(row))), 4))
  return [
    line([...countsOf(executions), ...connectionOf(feed)], paint),
    '',
    ...shown.map((row) => line(rowOf(row, names, paint), paint)),
  ]
}

const nameOf = ({ flow }: ExecutionRow): string => flow?.name ?? '-'

function countsOf(executions: readonly ExecutionRow[]): Piece[] {
  return STATUSES.flatMap((status) => {
    const count = executions.filter((row) => row.status === status).length
    const { symbol, tone } = lookOf(status)
    return count === 0 ? [] : [toned(tone, `${symbol} ${count} ${status}`), '  ']
  })
}

function rowOf(row: ExecutionRow, names: number, { now }: Paint): Piece[] {
  const { id, status, startedAt, durationMs, progress, currentSteps, error } = row
  const { symbol, tone } = lookOf(status)
  const took = durationMs ?? (startedAt === null ? undefined : now - Date.parse(startedAt))
  return [
    ...['  ', toned(tone, symbol), ' ', padded(nameOf(row), names), '  ', toned('dim', id), '  '],
    padded(took === undefined ? '' : lasting(took), 9),
    ...bar(progress.total === 0 ? 0 : progress.finished / progress.total, BAR),
    padded(` ${progress.finished}/${progress.total}`, 7),
    ...(error === null ? [` ${currentSteps.join(', ')}`] : [toned('red', ` ${error.code}: ${error.message}`)]),
  ]
}

/** A line for each execution that is new or has another status. */
export function tellFleet(before: FeedState<ExecutionsView>, { view }: FeedState<ExecutionsView>): Piece[][] {
  const known = new Map(before.view.executions.map(({ id, status }) => [id, status]))
  return view.executions
    .filter(({ id, status }) => known.get(id) !== status)
    .toReversed()
    .map((row) => {
      const { id, status, error, finishedAt, startedAt, createdAt } = row
      const at = finishedAt ?? startedAt ?? createdAt
      const why = error ? [toned('red', `  ${error.code}: ${error.message}`)] : []
      return [
        toned('dim', at.slice(11, 23)),
        '  ',
        toned(lookOf(status).tone, status.padEnd(9)),
        ` ${id}  ${nameOf(row)}`,
        ...why,
      ]
    })
}
