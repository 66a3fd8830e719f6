/** `sluice schema`: what the API looks like, and what definitions of flows do. */
import { parseArgs } from 'node:util'
import { EXIT } from './command.ts'
import type { CommandModule } from './command.ts'

export const usage = `usage: sluice schema [definition]

Prints the GraphQL schema; with \`definition\`, the JSON Schema of definitions of flows.
`

export const run: CommandModule['run'] = async (args) => {
  const { positionals } = parseArgs({ args, allowPositionals: true })
  const [of, ...more] = positionals
  if (more.length > 0 || (of !== undefined && of !== 'definition')) {
    process.stderr.write(usage)
    return EXIT.usage
  }
  if (of === undefined) process.stdout.write((await import('../api/schema.ts')).printSchema())
  else {
    const { definitionJsonSchema } = await import('../language/definition-json-schema.ts')
    process.stdout.write(`${JSON.stringify(definitionJsonSchema(), null, 2)}\n`)
  }
  return EXIT.ok
}
