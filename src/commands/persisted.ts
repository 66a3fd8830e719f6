/** `sluice persisted`: a line for each persisted operation: its id, its name, what is wrong with it. */
import { parseArgs } from 'node:util'
import { loadConfig } from '../config/config.ts'
import { EXIT } from './command.ts'
import type { CommandModule } from './command.ts'

export const usage = `usage: sluice persisted

Lists what SLUICE_PERSISTED_OPERATIONS names, and ends with 1 when one does not fit the schema.
`

export const run: CommandModule['run'] = async (args, environment) => {
  parseArgs({ args })
  const config = loadConfig(environment, { mode: 'schema' })
  const { schema } = await import('../api/schema.ts')
  const { checkPersisted, readPersistedOperations } = await import('../server/persisted-operations.ts')
  let code: number = EXIT.ok
  for (const { id, name, problems } of checkPersisted(readPersistedOperations(config.server.persistedOperations), schema)) {
    process.stdout.write(`${[`sha256:${id}`, name, ...problems].join('  ')}\n`)
    if (problems.length > 0) code = EXIT.failure
  }
  return code
}
