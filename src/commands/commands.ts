/** What `sluice` can be told, by name. A command is read in when it is called: most need little of the house. */
import { loadConfig } from '../config/config.ts'
import { createLog } from '../log.ts'
import type { CommandModule } from './command.ts'

interface Command {
  /** its line in the list of commands */
  readonly summary: string
  load(): Promise<CommandModule>
}

const processCommand = async (mode: 'start' | 'serve' | 'work'): Promise<CommandModule> => {
  const { PROCESS_USAGE, runProcess } = await import('./process.ts')
  return { usage: PROCESS_USAGE[mode], run: (args, environment) => runProcess(mode, args, environment) }
}
const databaseCommand = async (name: 'audit' | 'backup' | 'restore' | 'restored'): Promise<CommandModule> => {
  const { usage, run } = (await import('./database-commands.ts')).DATABASE_COMMANDS[name]
  return {
    usage,
    run: (args, environment) => run(args, loadConfig(environment, { mode: 'migrate' }), createLog('warn')),
  }
}

export const COMMANDS: Readonly<Record<string, Command>> = {
  start: {
    summary: 'the API and a worker in one process (what `npm start` runs)',
    load: () => processCommand('start'),
  },
  serve: { summary: 'the API alone', load: () => processCommand('serve') },
  work: { summary: 'a worker alone (needs DATABASE_URL)', load: () => processCommand('work') },
  health: { summary: 'whether the server or worker of this machine is ready', load: () => import('./health.ts') },
  'check-config': { summary: 'what is configured, or every mistake in it', load: () => import('./check-config.ts') },
  audit: { summary: 'verifies and exports the audit log', load: () => databaseCommand('audit') },
  backup: { summary: 'copies the embedded database while it runs', load: () => databaseCommand('backup') },
  restore: { summary: 'puts a backup back', load: () => databaseCommand('restore') },
  restored: {
    summary: 'makes a database fit to run that was restored otherwise',
    load: () => databaseCommand('restored'),
  },
  migrate: { summary: 'brings the database up to date, then ends', load: () => import('./migrate.ts') },
  schema: { summary: 'prints the GraphQL schema, or the JSON Schema of flows', load: () => import('./schema.ts') },
  simulate: {
    summary: 'runs the cases of a flow on a virtual clock, without a server',
    async load() {
      const { runSimulateCommand, SIMULATE_USAGE } = await import('./simulate.ts')
      const print = (text: string): void => void process.stdout.write(text)
      return {
        usage: SIMULATE_USAGE,
        run: (args, environment) => runSimulateCommand(args, loadConfig(environment, { mode: 'schema' }), print),
      }
    },
  },
  drill: {
    summary: 'breaks things on purpose beside a load, and shows that nothing is lost',
    load: () => import('./drill.ts'),
  },
  watch: { summary: 'shows an execution live in the terminal', load: () => import('./watch.ts') },
  persisted: {
    summary: 'lists the persisted operations, and fails when one does not fit the schema',
    load: () => import('./persisted.ts'),
  },
}

export function listCommands(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length))
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return `usage: sluice <command>; \`sluice <command> --help\` says more\n\n${lines.join('\n')}\n`
}
