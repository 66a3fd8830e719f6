/** How many calls a second there were, as columns over time, with the faults below: where each began and how long it held others up. Pure. */
import { toned } from '../../watch/draw/paint.ts'
import type { Piece } from '../../watch/draw/paint.ts'

export interface TimelineFault {
  readonly atMs: number
  /** until all got on; undefined = it lasts */
  readonly gotOnMs?: number | undefined
}

export interface TimelineOptions {
  /** ms since the beginning */
  readonly calls: readonly number[]
  readonly faults: readonly TimelineFault[]
  readonly lengthMs: number
  /** until then there is anything to show */
  readonly untilMs: number
  readonly columns: number
  readonly rows: number
}

const EIGHTHS = ' ▁▂▃▄▅▆▇█'
/** `  140 ┤` */
const AXIS = 7

export function timeline({ calls, faults, lengthMs, untilMs, columns, rows }: TimelineOptions): Piece[][] {
  const width = Math.max(10, columns - AXIS)
  const columnMs = Math.max(1, lengthMs / width)
  const columnOf = (ms: number): number => Math.floor(ms / columnMs)
  const counts = Array.from({ length: Math.min(width, columnOf(untilMs)) }, () => 0)
  for (const at of calls) {
    const column = columnOf(at)
    if (at >= 0 && column < counts.length) counts[column]! += 1
  }
  const rates = counts.map((count) => count / (columnMs / 1_000))
  const most = Math.max(1, ...rates)
  const marks = Array.from({ length: width }, () => ' ')
  for (const [index, { atMs, gotOnMs }] of faults.entries()) {
    const [from, to] = [columnOf(atMs), columnOf(gotOnMs === undefined ? untilMs : atMs + finite(gotOnMs, untilMs - atMs))]
    for (let column = from + 1; column <= to && column < width; column += 1) marks[column] = '─'
    if (from < width) marks[from] = String(index + 1)
  }
  return [
    ...Array.from({ length: rows }, (_, row): Piece[] => {
      const label = row === 0 ? String(Math.round(most)) : row === rows - 1 ? '0' : ''
      const level = rows - 1 - row
      const cells = rates.map((rate) => EIGHTHS[Math.max(0, Math.min(8, Math.round((rate / most) * rows * 8) - level * 8))])
      return [toned('dim', `${label.padStart(AXIS - 2)} ┤`), toned('green', cells.join(''))]
    }),
    [' '.repeat(AXIS), toned('yellow', marks.join('').trimEnd())],
  ]
}

const finite = (ms: number, otherwise: number): number => (Number.isFinite(ms) ? ms : otherwise)
