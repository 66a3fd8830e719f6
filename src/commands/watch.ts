/** `sluice watch` on this terminal, until Ctrl-C. */
import { loadConfig } from '../config/config.ts'
import { runWatchCommand, WATCH_USAGE } from '../watch/watch-command.ts'
import type { CommandModule } from './command.ts'

export const usage = WATCH_USAGE

export const run: CommandModule['run'] = async (args, environment) => {
  const enough = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => enough.abort())
  return runWatchCommand(args, {
    config: loadConfig(environment, { mode: 'schema' }),
    terminal: process.stdout,
    colour: process.stdout.isTTY && !environment['NO_COLOR'],
    signal: enough.signal,
  })
}
