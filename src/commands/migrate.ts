/** `sluice migrate`: applies migrations; the embedded database is started for it and stopped again. */
import { parseArgs } from 'node:util'
import { loadConfig } from '../config/config.ts'
import { createLog } from '../log.ts'
import { EXIT } from './command.ts'
import type { CommandModule } from './command.ts'

export const usage = `usage: sluice migrate

Brings the database up to date as the role of DATABASE_OWNER_URL, then ends; \`start\`, \`serve\` and \`work\` do the same where they may.
`

export const run: CommandModule['run'] = async (args, environment) => {
  parseArgs({ args })
  const config = loadConfig(environment, { mode: 'migrate' })
  const { migrateOnly } = await import('../app/database.ts')
  const applied = await migrateOnly(config, createLog(config.log.level))
  process.stdout.write(applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'nothing to do\n')
  return EXIT.ok
}
