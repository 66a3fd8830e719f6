/** What a drill found, as lines of a terminal. Pure. */
import { lasting, line, padded, toned } from '../../watch/draw/paint.ts'
import type { Paint, Piece } from '../../watch/draw/paint.ts'
import type { Check, FaultRecord } from '../check.ts'
import { throughputAround } from './throughput.ts'
import { timeline } from './timeline.ts'

export interface Report {
  readonly checks: readonly Check[]
  readonly faults: readonly FaultRecord[]
  readonly skipped: readonly { readonly name: string; readonly why: string }[]
  readonly calls: readonly number[]
  readonly lengthMs: number
  readonly boundMs: number
  /** how many processes waited for each processor at the end, on average of the last minute */
  readonly crowd: number
  /** where what the processes printed is kept */
  readonly logs?: string | undefined
}

type Look = Pick<Paint, 'columns' | 'colour'>

const CHART_ROWS = 5
const NAME = 17
const CHECK = 38
/** From here on times say more of the machine than of what was done to it. */
const CROWDED = 2

export function drawReport(report: Report, look: Look): string[] {
  const { checks, faults, skipped, calls, lengthMs } = report
  const failed = checks.filter(({ held }) => !held).length
  const verdict: Piece =
    failed === 0
      ? toned('green', 'Everything held.')
      : toned('red', failed === 1 ? 'One thing did not hold.' : `${failed} things did not hold.`)
  const chart = timeline({ calls, faults, lengthMs, untilMs: lengthMs, columns: look.columns, rows: CHART_ROWS })
  const pieces: Piece[][] = [
    [toned('dim', 'Calls a second, as the service saw them that the steps call')],
    ...chart,
    [],
    ...faultTable(report),
    ...(faults.length === 0 ? [] : LEGEND.map((text): Piece[] => [toned('dim', `    ${text}`)])),
    ...skipped.map(({ name, why }): Piece[] => [toned('dim', `  ∅ ${padded(name, NAME)}left out: ${why}`)]),
    [],
    ...checks.flatMap(checkLines),
    [],
    [verdict],
    ...adviceOf(report, failed).map((text): Piece[] => [text]),
  ]
  return pieces.map((one) => line(one, look))
}

/** What an operator does about it. */
function adviceOf({ crowd, logs }: Report, failed: number): string[] {
  const crowded = `This machine had ${crowd.toFixed(1)} processes to run for each processor: what took long may be its fault.`
  return [
    ...(crowd >= CROWDED ? [crowded] : []),
    ...(failed === 0
      ? []
      : [
          logs === undefined
            ? 'Do it again with --logs DIRECTORY, to see what the processes said.'
            : `What the processes said is in ${logs}.`,
        ]),
  ]
}

const LEGEND = [
  'hit: executions in the way. back: until there was again what was gone. taken up, got on:',
  'until the last of them was worked on again, and had got a step further.',
]
const HEADINGS = ['at', 'hit', 'back', 'taken up', 'got on', 'calls/s before', 'worst', 'after']
const WIDTHS = [9, 6, 9, 10, 10, 16, 7, 7]

export function faultTable({
  faults,
  calls,
  boundMs,
  lengthMs,
}: Pick<Report, 'faults' | 'calls' | 'boundMs' | 'lengthMs'>): Piece[][] {
  if (faults.length === 0) return []
  const heading = HEADINGS.map((text, at) => text.padStart(WIDTHS[at]!)).join('')
  return [
    [toned('dim', `    ${padded('fault', NAME)}${heading}`)],
    ...faults.map((fault, index): Piece[] => {
      const { name, atMs, hit, backMs, takenUpMs, gotOnMs } = fault
      const { before, worst, after } = throughputAround(calls, fault, lengthMs)
      const cells = [
        lasting(atMs),
        String(hit),
        backMs > 0 ? lasting(backMs) : '',
        took(takenUpMs),
        took(gotOnMs),
        before,
        worst,
        after,
      ]
      const text = cells.map((cell, at) => String(cell).padStart(WIDTHS[at]!)).join('')
      return [
        ...mark(takenUpMs - backMs <= boundMs && Number.isFinite(gotOnMs), ` ${index + 1}`),
        ` ${padded(name, NAME)}${text}`,
      ]
    }),
  ]
}

const took = (ms: number): string => (Number.isFinite(ms) ? lasting(ms) : 'never')

const mark = (good: boolean, text: string): Piece[] => [
  toned(good ? 'green' : 'red', `${text}${good ? '' : '!'}`),
  good ? ' ' : '',
]

function checkLines({ what, held, found, wrong }: Check): Piece[][] {
  return [
    ['  ', toned(held ? 'green' : 'red', held ? '✔' : '✘'), ` ${padded(what, CHECK)}`, toned('dim', found)],
    ...wrong.map((text): Piece[] => [toned('red', `      ${text}`)]),
  ]
}
