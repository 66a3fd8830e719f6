/** `sluice drill` on this terminal; Ctrl-C ends it when all is tidied up. */
import { DRILL_USAGE, runDrillCommand } from '../drill/drill-command.ts'
import type { CommandModule } from './command.ts'

export const usage = DRILL_USAGE

export const run: CommandModule['run'] = async (args, environment) => {
  const enough = new AbortController()
  // also a second one waits until all is tidied up
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => enough.abort())
  return runDrillCommand(args, {
    environment,
    terminal: process.stdout,
    colour: process.stdout.isTTY && !environment['NO_COLOR'],
    signal: enough.signal,
  })
}
