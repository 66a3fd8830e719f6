/** The process: reads the command, starts the app, prints how to use it, and stops it on a signal. */
import { constants } from 'node:os'
import { relative } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { App } from './app/app.ts'
import { ConfigError, loadConfig } from './config/config.ts'
import type { Mode } from './config/config.ts'
import type { Config } from './config/config-types.ts'
import { createLog } from './log.ts'

const USAGE = `usage: sluice <command>

  start     the API and a worker in one process (what \`npm start\` runs)
  serve     the API alone
  work      a worker alone (needs DATABASE_URL); --concurrency and --pools, for \`start\` too, say what it takes
  audit     verifies and exports the audit log (\`sluice audit\` says how)
  backup    copies the embedded database while it runs (\`sluice backup\` says how)
  restore   puts a backup back; \`restored\` makes a database fit to run that was restored otherwise
  migrate   brings the database up to date, then ends
  schema    prints the GraphQL schema; \`schema definition\` the JSON Schema of flows
  simulate  runs the cases of a flow on a virtual clock, without a server (\`sluice simulate\` says how)
  drill     breaks things on purpose beside a load, and shows that nothing is lost (\`sluice drill --help\` says how)
  watch     shows an execution live in the terminal (\`sluice watch\` says how)
  persisted lists the persisted operations, and fails when one does not fit the schema
`

/** sysexits.h: wrong usage, wrong configuration, everything else. */
const EXIT = { usage: 64, config: 78, failure: 1 } as const

// Compiling PostgreSQL's parser for speed takes 600 MB for a second, and saves 0.1 ms a query.
for (const flag of ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag)

const command = process.argv[2] ?? 'start'
switch (command) {
  case 'start':
  case 'serve':
  case 'work':
    await run(command)
    break
  case 'migrate':
    await migrate()
    break
  case 'audit':
  case 'backup':
  case 'restore':
  case 'restored':
    await runOnDatabase(command)
    break
  case 'simulate':
    await simulate()
    break
  case 'watch':
    await watch()
    break
  case 'drill':
    await drill()
    break
  case 'schema':
    await printSchema(process.argv[3])
    break
  case 'persisted':
    await listPersisted()
    break
  default:
    process.stderr.write(USAGE)
    process.exitCode = EXIT.usage
}

async function printSchema(of: string | undefined): Promise<void> {
  if (of === undefined) process.stdout.write((await import('./api/schema.ts')).printSchema())
  else if (of === 'definition') {
    const { definitionJsonSchema } = await import('./language/definition-json-schema.ts')
    process.stdout.write(`${JSON.stringify(definitionJsonSchema(), null, 2)}\n`)
  } else {
    process.stderr.write(USAGE)
    process.exitCode = EXIT.usage
  }
}

async function run(mode: 'start' | 'serve' | 'work'): Promise<void> {
  const flags = await workerFlags(mode)
  const config = flags && readConfig(mode === 'work' ? 'work' : 'serve', flags)
  if (!config) return
  const log = createLog(config.log.level)
  let app: App | undefined
  const starting = new AbortController()
  let stopping: Promise<void> | undefined
  const stop = (code: number): Promise<void> =>
    (stopping ??= (async () => {
      process.exitCode = code
      starting.abort()
      if (!app) return // it stops when it has started, or has stopped to wait for what it needs to
      await app.stop()
      // all is closed in order; sockets that the other side has not closed yet are not waited for
      process.exit()
    })())
  const startedAt = performance.now()
  // a second signal while it drains ends the process at once
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => (stopping ? process.exit(128 + constants.signals[signal]) : void stop(0)))
  const fail = (error: unknown, message: string): void => {
    log.fatal({ err: error }, message)
    void stop(EXIT.failure)
  }
  process.on('uncaughtException', (error) => fail(error, 'a fault that nobody handled'))
  try {
    const onFatal = (error: Error): void => fail(error, 'the database is lost')
    const { startApp } = await import('./app/app.ts')
    const running = { serve: mode !== 'work', work: mode !== 'serve', onFatal, signal: starting.signal }
    app = await startApp({ config, environment: process.env, log, ...running })
  } catch (error) {
    if (starting.signal.aborted) process.exit()
    process.stderr.write(`Sluice could not start: ${error instanceof Error ? error.message : String(error)}\n`)
    log.debug({ err: error }, 'start failed')
    process.exit(EXIT.failure)
  }
  if (stopping) {
    await app.stop()
    process.exit()
  }
  process.stdout.write(greeting(app, config, mode, performance.now() - startedAt))
}

/** Applies migrations; the embedded database is started for it and stopped again. */
async function migrate(): Promise<void> {
  const config = readConfig('migrate')
  if (!config) return
  const { migrateOnly } = await import('./app/database.ts')
  const applied = await migrateOnly(config, createLog(config.log.level))
  process.stdout.write(applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'nothing to do\n')
  process.exit()
}

async function runOnDatabase(command: 'audit' | 'backup' | 'restore' | 'restored'): Promise<void> {
  const config = readConfig('migrate')
  if (!config) return
  const { DATABASE_COMMANDS } = await import('./commands/database-commands.ts')
  const { usage, run } = DATABASE_COMMANDS[command]
  const code = await run(process.argv.slice(3), config, createLog('warn')).catch((error: Error) => {
    process.stderr.write(`${error.message}\n${'code' in error && String(error.code).startsWith('ERR_PARSE') ? usage : ''}`)
    return EXIT.failure
  })
  process.exit(code)
}

async function simulate(): Promise<void> {
  const config = readConfig('schema')
  if (!config) return
  const { runSimulateCommand, SIMULATE_USAGE } = await import('./commands/simulate.ts')
  const print = (text: string): void => void process.stdout.write(text)
  process.exitCode = await runSimulateCommand(process.argv.slice(3), config, print).catch((error: Error) => {
    process.stderr.write(
      `${error.message}\n${'code' in error && String(error.code).startsWith('ERR_PARSE') ? SIMULATE_USAGE : ''}`,
    )
    return EXIT.failure
  })
}

async function watch(): Promise<void> {
  const config = readConfig('schema')
  if (!config) return
  const { runWatchCommand, WATCH_USAGE } = await import('./watch/watch-command.ts')
  const enough = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => enough.abort())
  const options = {
    config,
    terminal: process.stdout,
    colour: process.stdout.isTTY && !process.env['NO_COLOR'],
    signal: enough.signal,
  }
  const code = await runWatchCommand(process.argv.slice(3), options).catch((error: Error) => {
    process.stderr.write(`${error.message}\n${'code' in error && String(error.code).startsWith('ERR_PARSE') ? WATCH_USAGE : ''}`)
    return EXIT.failure
  })
  // the socket would be kept for a while
  process.exit(code)
}

async function drill(): Promise<void> {
  const { runDrillCommand, DRILL_USAGE } = await import('./drill/drill-command.ts')
  const enough = new AbortController()
  // also a second one waits until all is tidied up
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => enough.abort())
  const options = {
    environment: process.env,
    terminal: process.stdout,
    colour: process.stdout.isTTY && !process.env['NO_COLOR'],
    signal: enough.signal,
  }
  const code = await runDrillCommand(process.argv.slice(3), options).catch((error: Error) => {
    process.stderr.write(`${error.message}\n${'code' in error && String(error.code).startsWith('ERR_PARSE') ? DRILL_USAGE : ''}`)
    return error instanceof ConfigError ? EXIT.config : EXIT.failure
  })
  process.exit(code)
}

/** A line for each: its id, its name, what is wrong with it. */
async function listPersisted(): Promise<void> {
  const config = readConfig('schema')
  if (!config) return
  const { schema } = await import('./api/schema.ts')
  const { checkPersisted, readPersistedOperations } = await import('./server/persisted-operations.ts')
  for (const { id, name, problems } of checkPersisted(readPersistedOperations(config.server.persistedOperations), schema)) {
    process.stdout.write(`${[`sha256:${id}`, name, ...problems].join('  ')}\n`)
    if (problems.length > 0) process.exitCode = EXIT.failure
  }
}

/** What the flags say instead of the environment; undefined: they are wrong, which was told. */
async function workerFlags(mode: 'start' | 'serve' | 'work'): Promise<Record<string, string> | undefined> {
  const args = process.argv.slice(3)
  if (args.length === 0) return {}
  const { readWorkerFlags, WORKER_USAGE } = await import('./commands/worker-flags.ts')
  const read = mode === 'serve' ? { mistakes: ['serve takes no flags: it is no worker'] } : readWorkerFlags(args)
  if ('variables' in read) return read.variables
  process.stderr.write(`${read.mistakes.join('\n')}\n${WORKER_USAGE}`)
  process.exitCode = EXIT.usage
  return undefined
}

function readConfig(mode: Mode, flags: Record<string, string> = {}): Config | undefined {
  try {
    return loadConfig({ ...process.env, ...flags }, { mode })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = EXIT.config
    return undefined
  }
}

function greeting(app: App, config: Config, mode: 'start' | 'serve' | 'work', ms: number): string {
  const lines = [`Sluice is ready (${(ms / 1000).toFixed(1)} s).`, '']
  if (app.url) lines.push(`  GraphiQL   ${app.url}/graphql`)
  if (mode !== 'serve') lines.push(`  worker     ${app.engine.workerId}`)
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
