/** `sluice drill`: breaks a set-up on purpose beside a load, and shows that nothing was lost. */
import { mkdir } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { loadConfig } from '../config/config.ts'
import type { Environment } from '../config/config.ts'
import { createLog } from '../log.ts'
import { line } from '../watch/draw/paint.ts'
import { openScreen } from '../watch/screen.ts'
import type { Terminal } from '../watch/screen.ts'
import { drawNews, tellBegin, tellNews } from './draw/news.ts'
import { drawReport } from './draw/report.ts'
import { FAULT_NAMES } from './faults/all.ts'
import type { FaultName } from './faults/all.ts'
import type { DrillNews } from './perform.ts'
import { DEFAULT_ORDER, planDrill } from './plan.ts'
import type { DrillOrder, DrillPlan } from './plan.ts'
import { runDrill } from './run-drill.ts'
import { makeDirectory } from './own-directory.ts'
import { openFleetSite, openOwnSite } from './site.ts'

export const DRILL_USAGE = `usage: sluice drill [--only FAULT,...] [--executions N] [--seconds N] [--workers N] [--logs DIRECTORY] [--json] [--yes]

  --only FAULT,...  of ${FAULT_NAMES.join(', ')}
  --executions N    how many are started (${DEFAULT_ORDER.executions}), evenly over
  --seconds N       this time (${DEFAULT_ORDER.seconds}); more, at the same rate, when the faults take longer
  --workers N       processes that work, 2 at least (${DEFAULT_ORDER.workers})
  --logs DIRECTORY  keeps there what the processes logged
  --json            prints what was found as JSON
  --yes             also where NODE_ENV is production

Starts an API and workers of its own, starts executions through the API, does one fault after the other, and looks whether anything
was lost, done twice or told wrongly. Without DATABASE_URL it does so on a database of its own, which is gone afterwards; with it, on that
of your fleet: what works there is left alone.
Ends with 0 when everything held, with 1 when something did not or when it could not be done, with 130 after Ctrl-C.
`

const EXIT = { held: 0, failed: 1, usage: 64, interrupted: 130 } as const

export interface DrillCommandOptions {
  readonly environment: Environment
  readonly terminal: Terminal
  readonly colour: boolean
  readonly signal: AbortSignal
}

/** The process's exit code. Throws what keeps the drill from being done. */
export async function runDrillCommand(args: readonly string[], options: DrillCommandOptions): Promise<number> {
  const asked = readArguments(args)
  const { environment, terminal, signal } = options
  if (!asked) {
    terminal.write(DRILL_USAGE)
    return EXIT.usage
  }
  const { json, yes, logs, ...order } = asked
  const fleet = environment['DATABASE_URL'] !== undefined || environment['DATABASE_URL_FILE'] !== undefined
  const log = createLog('silent')
  const directory = await makeDirectory()
  await using stack = new AsyncDisposableStack()
  stack.defer(() => directory.remove())
  const site = fleet
    ? openFleetSite(environment, loadConfig(environment, { mode: 'serve' }))
    : await openOwnSite(environment, directory.path, log)
  stack.defer(() => site.close())
  const config = loadConfig({ ...site.environment, ...site.databases, REDIS_URL: site.redisUrl }, { mode: 'migrate' })
  if (config.nodeEnv === 'production' && !yes) throw new Error(`${PRODUCTION} Say --yes to do it there.`)
  if (asked.logs) await mkdir(asked.logs, { recursive: true })
  const plan = planDrill(order, site, config.engine.leaseMs)
  const { workers } = order
  const look = { columns: terminal.columns || COLUMNS, colour: options.colour }
  if (!json) terminal.write(`${tellBegin(site, plan, order).join('\n')}\n\n`)
  const show = json ? SILENT : showNews(options, plan)
  signal.addEventListener('abort', show.interrupted)
  try {
    const result = await runDrill({
      site,
      config,
      plan,
      workers,
      log,
      signal,
      directory: logs ?? directory.path,
      onNews: show.news,
    })
    show.end()
    const crowd = loadavg()[0]! / availableParallelism()
    const report = { ...result, skipped: plan.skipped, boundMs: plan.boundMs, crowd, logs }
    terminal.write(json ? `${JSON.stringify(report)}\n` : `${drawReport(report, look).join('\n')}\n`)
    return result.checks.every(({ held }) => held) ? EXIT.held : EXIT.failed
  } catch (error) {
    show.end()
    if (signal.aborted) return EXIT.interrupted
    throw error
  }
}

const PRODUCTION =
  'This is production: a drill starts executions beside those of the fleet, takes connections of PostgreSQL and Redis, and time of both.'

interface Asked extends DrillOrder {
  readonly json: boolean
  readonly yes: boolean
  readonly logs: string | undefined
}

/** undefined: it is not used rightly. */
function readArguments(args: readonly string[]): Asked | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ only: { type: 'string' }, executions: { type: 'string' }, seconds: { type: 'string' }, workers: { type: 'string' } },
      ...{ logs: { type: 'string' }, json: { type: 'boolean' }, yes: { type: 'boolean' } },
    },
  })
  const only = values.only?.split(',')
  const [executions, seconds, workers] = (['executions', 'seconds', 'workers'] as const).map((name) =>
    values[name] === undefined ? DEFAULT_ORDER[name] : Number(values[name]),
  ) as [number, number, number]
  const whole = [executions, seconds, workers].every((value) => Number.isSafeInteger(value) && value > 0)
  const known = only?.every((name): name is FaultName => (FAULT_NAMES as string[]).includes(name)) ?? true
  if (!whole || !known || workers < 2) return undefined
  const { json = false, yes = false, logs } = values
  return { only: only as FaultName[] | undefined, executions, seconds, workers, json, yes, logs: logs && resolve(logs) }
}

const COLUMNS = 100

interface Showing {
  news(news: DrillNews): void
  /** Whoever pressed Ctrl-C is told what takes so long. */
  interrupted(): void
  end(): void
}

const SILENT: Showing = { news: () => undefined, interrupted: () => undefined, end: () => undefined }
const TIDYING = 'Tidying up ...\n'

function showNews({ terminal, colour }: DrillCommandOptions, plan: DrillPlan): Showing {
  if (terminal.isTTY) {
    const screen = openScreen(terminal)
    return {
      news: (news) => screen.draw(drawNews(news, plan, { columns: screen.columns, colour })),
      interrupted() {
        screen.end()
        terminal.write(TIDYING)
      },
      end: () => screen.end(),
    }
  }
  let before: DrillNews | undefined
  return {
    news(news) {
      for (const pieces of tellNews(before, news))
        terminal.write(`${line(pieces, { columns: Number.POSITIVE_INFINITY, colour })}\n`)
      before = { ...news, faults: [...news.faults] }
    },
    interrupted: () => void terminal.write(TIDYING),
    end: () => undefined,
  }
}
