/** How a drill goes while it lasts: a drawing for a terminal, lines for everything else. Pure. */
import { lasting, line, toned } from '../../watch/draw/paint.ts'
import type { Paint, Piece } from '../../watch/draw/paint.ts'
import type { DrillNews } from '../perform.ts'
import type { DrillPlan } from '../plan.ts'
import { faultTable } from './report.ts'
import { timeline } from './timeline.ts'

const CHART_ROWS = 5

export function drawNews(news: DrillNews, plan: DrillPlan, look: Pick<Paint, 'columns' | 'colour'>): string[] {
  const { atMs, calls, faults } = news
  const lengthMs = Math.max(plan.lengthMs, atMs)
  const chart = timeline({ calls, faults, lengthMs, untilMs: atMs, columns: look.columns, rows: CHART_ROWS })
  const pieces: Piece[][] = [
    headline(news, plan),
    [],
    ...chart,
    [],
    ...faultTable({ faults, calls, boundMs: plan.boundMs, lengthMs: atMs }),
  ]
  return pieces.map((one) => line(one, look))
}

function headline({ atMs, started, ended, fault }: DrillNews, { lengthMs }: DrillPlan): Piece[] {
  const doing = fault === undefined ? [] : [toned('yellow', `  ${fault.what} ...`)]
  return [
    toned('bold', 'Sluice drill'),
    `  ${lasting(atMs)} of ${lasting(lengthMs)}  ${started} started, ${ended} ended`,
    ...doing,
  ]
}

/** What is new since the news before. */
export function tellNews(before: DrillNews | undefined, { atMs, started, ended, fault, faults }: DrillNews): Piece[][] {
  const at = toned('dim', lasting(atMs).padStart(9))
  return [
    ...faults
      .slice(before?.faults.length ?? 0)
      .map(({ name, hit, takenUpMs, gotOnMs }): Piece[] => [
        ...[at, `  ${name}: ${hit} hit, `],
        Number.isFinite(gotOnMs)
          ? `taken up after ${lasting(takenUpMs)}, a step further after ${lasting(gotOnMs)}`
          : toned('red', 'not all got on'),
        toned('dim', `  (${started} started, ${ended} ended)`),
      ]),
    ...(fault !== undefined && fault !== before?.fault ? [[at, '  ', toned('yellow', fault.what)]] : []),
  ]
}
