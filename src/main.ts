/** The process: reads which command it is to run, runs it, and ends with its code. Nothing else reads the environment. */
import { setFlagsFromString } from 'node:v8'
import { EXIT } from './commands/command.ts'
import { COMMANDS, listCommands } from './commands/commands.ts'
import { ConfigError } from './config/config.ts'
import { didYouMean } from './language/nearest-name.ts'

// Compiling PostgreSQL's parser for speed takes 600 MB for a second, and saves 0.1 ms a query.
for (const flag of ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering']) setFlagsFromString(flag)

const HELP = new Set(['--help', '-h', 'help'])

// what is still open (a socket that the other side has not closed) is not waited for
process.exit(await main(process.argv.slice(2)))

async function main([name = 'start', ...args]: string[]): Promise<number> {
  if (HELP.has(name)) return print(listCommands())
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!command) {
    const hint = didYouMean(name, Object.keys(COMMANDS))
    return refuse(`sluice has no command ${JSON.stringify(name)}${hint ? `; ${hint}` : ''}`, listCommands(), EXIT.usage)
  }
  const { usage, run } = await command.load()
  if (args.some((arg) => arg === '--help' || arg === '-h')) return print(usage)
  try {
    return await run(args, process.env)
  } catch (error) {
    const { message, code = '' } = error as NodeJS.ErrnoException
    if (error instanceof ConfigError) return refuse(message, '', EXIT.config)
    if (code.startsWith('ERR_PARSE')) return refuse(message, usage, EXIT.usage)
    return refuse((await import('./database/say-why.ts')).sayWhy(error), '', EXIT.failure)
  }
}

function print(text: string): number {
  process.stdout.write(text)
  return EXIT.ok
}

function refuse(message: string, usage: string, code: number): number {
  process.stderr.write(`${message}\n${usage && `\n${usage}`}`)
  return code
}
