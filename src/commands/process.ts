/** `sluice start`, `serve` and `work`: starts the app, says how to use it, and stops it on a signal. */
import { constants } from 'node:os'
import { relative } from 'node:path'
import type { App } from '../app/app.ts'
import type { Environment } from '../config/config.ts'
import { loadConfig } from '../config/config.ts'
import type { Config } from '../config/config-types.ts'
import { sayWhy } from '../database/say-why.ts'
import { createLog } from '../log.ts'
import type { Logger } from '../log.ts'
import { EXIT } from './command.ts'
import { applyFlags, describeFlags } from './process-flags.ts'
import type { ProcessMode } from './process-flags.ts'

const WHAT = {
  start:
    'The API and a worker in one process; without DATABASE_URL it brings its own PostgreSQL. `sluice --help` lists other commands.',
  serve: 'The API alone: executions are run by workers elsewhere. Needs DATABASE_URL, and REDIS_URL in production.',
  work: 'A worker alone. Needs DATABASE_URL, and REDIS_URL in production. Its health is at the port of its metrics.',
} as const satisfies Record<ProcessMode, string>

const usageOf = (mode: ProcessMode): string =>
  `usage: sluice ${mode} [flags]

${WHAT[mode]}

${describeFlags(mode)}
All settings: docs/configuration.md; what is set: \`sluice check-config ${mode}\`.
SIGTERM, SIGINT and SIGHUP drain it and end it with 0, a second one ends it at once. 64: wrong usage, 78: wrong configuration, 1: a fault.
`

export const PROCESS_USAGE = {
  start: usageOf('start'),
  serve: usageOf('serve'),
  work: usageOf('work'),
} as const

/** Runs until a signal. Throws ConfigError. */
export async function runProcess(mode: ProcessMode, args: string[], environment: Environment): Promise<number> {
  const config = loadConfig(applyFlags(mode, args, environment), { mode })
  const log = createLog(config.log.level)
  const startedAt = performance.now()
  const starting = new AbortController()
  let app: App | undefined
  const end = endOnSignal(log, starting, () => app)
  try {
    const onFatal = (error: Error): void => end.fail(error, 'this process cannot go on')
    const { startApp } = await import('../app/app.ts')
    const running = { serve: mode !== 'work', work: mode !== 'serve', onFatal, signal: starting.signal }
    app = await startApp({ config, environment, log, ...running })
  } catch (error) {
    if (starting.signal.aborted) return end.code
    process.stderr.write(`Sluice could not start: ${startError(error)}\n`)
    log.debug({ err: error }, 'start failed')
    return EXIT.failure
  }
  if (starting.signal.aborted) await app.stop()
  else process.stdout.write(greeting(app, config, mode, performance.now() - startedAt))
  return end.ended
}

interface Ending {
  /** of the process */
  readonly code: number
  /** Settles with the code when all is closed. */
  readonly ended: Promise<number>
  fail(error: unknown, message: string): void
}

/** The first signal, or a fault, drains and closes; a second signal ends the process at once. */
function endOnSignal(log: Logger, starting: AbortController, app: () => App | undefined): Ending {
  const ended = Promise.withResolvers<number>()
  let code: number | undefined
  async function end(because: number): Promise<void> {
    if (code !== undefined) return
    code = because
    // one that still starts stops to wait for what it needs, or is closed when it has started
    starting.abort()
    await app()
      ?.stop()
      .catch((error: unknown) => {
        log.error({ err: error }, 'not all could be closed')
        code = EXIT.failure
      })
    ended.resolve(code)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => (code === undefined ? void end(EXIT.ok) : process.exit(128 + constants.signals[signal])))
  const fail = (error: unknown, message: string): void => {
    log.fatal({ err: error }, message)
    void end(EXIT.failure)
  }
  process.on('uncaughtException', (error) => fail(error, 'a fault that nobody handled'))
  return {
    get code() {
      return code ?? EXIT.failure
    },
    ended: ended.promise,
    fail,
  }
}

function startError(error: unknown): string {
  const { code, port } = error as Error & { code?: string; port?: number }
  return code === 'EADDRINUSE' ? `port ${port} is taken: choose another (PORT, SLUICE_METRICS_PORT)` : sayWhy(error)
}

function greeting(app: App, config: Config, mode: ProcessMode, ms: number): string {
  const lines = [`Sluice is ready (${(ms / 1000).toFixed(1)} s).`, '']
  if (app.url) lines.push(`  GraphiQL   ${app.url}/graphql`)
  if (mode === 'work') lines.push(`  worker     ${app.engine.workerId}`)
  if (app.metricsUrl) lines.push(`  metrics    ${app.metricsUrl}`)
  if (app.url) lines.push(`  sign in    ${config.identity.adminEmail}, ${passwordHint(app)}`)
  if (app.url) {
    lines.push(
      '',
      '  Try:',
      `  curl -s ${app.url}/graphql -H 'content-type: application/json' -d '{"query":"{ viewer { id } }"}'`,
    )
  }
  return `${lines.join('\n')}\n\n`
}

function passwordHint({ admin }: App): string {
  if (admin.passwordFile) return `password in ${relative(process.cwd(), admin.passwordFile)}`
  return admin.admin === 'ABSENT' ? 'but there is no administrator: set SLUICE_ADMIN_PASSWORD' : 'with the password you chose'
}
