/** `sluice check-config`: what the environment configures, without starting anything. */
import { parseArgs } from 'node:util'
import { loadConfig } from '../config/config.ts'
import { showConfig } from '../config/show-config.ts'
import { EXIT } from './command.ts'
import type { CommandModule } from './command.ts'

export const usage = `usage: sluice check-config [start | serve | work] [--all]

Says what is configured for this kind of process (\`start\`), secrets hidden; ends with 78 and every mistake when it would not start.

  --all  what has its default too
`

export const run: CommandModule['run'] = async (args, environment) => {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { all: { type: 'boolean' } } })
  const [mode = 'start', ...more] = positionals
  if ((mode !== 'start' && mode !== 'serve' && mode !== 'work') || more.length > 0) {
    process.stderr.write(usage)
    return EXIT.usage
  }
  const config = loadConfig(environment, { mode })
  process.stdout.write(showConfig(config, environment, values.all === true))
  return EXIT.ok
}
