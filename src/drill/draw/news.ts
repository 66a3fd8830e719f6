/** How a drill goes while it lasts: a drawing for a terminal, lines for everything else. Pure. */
import { shownRedis } from '../../../clients/agent/redis-address.ts'
import { lasting, line, toned } from '../../watch/draw/paint.ts'
import type { Paint, Piece } from '../../watch/draw/paint.ts'
import type { DrillNews } from '../perform.ts'
import type { DrillOrder, DrillPlan } from '../plan.ts'
import type { Site } from '../site.ts'
import { faultTable } from './report.ts'
import { timeline } from './timeline.ts'

const CHART_ROWS = 5

/** Where it is done, and what: before anything is. No password, no user. */
export function tellBegin(
  { kind, databases, redisUrl, environment }: Pick<Site, 'kind' | 'databases' | 'redisUrl' | 'environment'>,
  { leaseMs, faults }: DrillPlan,
  { workers, executions, seconds }: DrillOrder,
): string[] {
  const dispatch = environment['SLUICE_DISPATCH'] ?? 'postgres'
  const beside = [placeOf(databases['DATABASE_URL']!), ...(redisUrl === undefined ? [] : [placeOfRedis(redisUrl)])].join(' and ')
  return [
    kind === 'OWN' ? 'A drill on a database of its own, which is gone afterwards.' : `A drill beside the fleet of ${beside}.`,
    `An API and ${workers} workers of its own (lease ${lasting(leaseMs)}, dispatch by ${dispatch}), ${executions} executions in ${seconds} s or longer.`,
    `What is done to them: ${faults.map(({ name }) => name).join(', ')}.`,
  ]
}

function placeOf(text: string): string {
  const { host, pathname } = new URL(text)
  return `${decodeURIComponent(host)}${decodeURIComponent(pathname)}`
}

const placeOfRedis = (url: string): string => shownRedis(url).replace(/^[^/]*\/\/(\*\*\*@)?/, '')

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
