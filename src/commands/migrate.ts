/** `sluice migrate`: applies migrations; the embedded database is started for it and stopped again. */
import { parseArgs } from 'node:util'
import { loadConfig } from '../config/config.ts'
import { createLog } from '../log.ts'
import type { PlannedMigrations } from '../app/database.ts'
import { EXIT } from './command.ts'
import type { CommandModule } from './command.ts'

export const usage = `usage: sluice migrate [--plan]

Brings the database up to date as the role of DATABASE_OWNER_URL, then ends; \`start\`, \`serve\` and \`work\` do the same where they may.

--plan  only says what it would do, and what stands in its way
`

export const run: CommandModule['run'] = async (args, environment) => {
  const { values } = parseArgs({ args, options: { plan: { type: 'boolean' } } })
  const config = loadConfig(environment, { mode: 'migrate' })
  const { migrateOnly, planMigrations } = await import('../app/database.ts')
  const log = createLog(config.log.level)
  if (values.plan) return tell(await planMigrations(config, log))
  const applied = await migrateOnly(config, log)
  process.stdout.write(applied.length > 0 ? `applied ${applied.join(', ')}\n` : 'nothing to do\n')
  return EXIT.ok
}

function tell({ pending, unknown, from, to, inTheWay }: PlannedMigrations): number {
  const newer = unknown.length > 0 ? `a newer release has been here (${unknown.join(', ')}): nothing of it is changed\n` : ''
  const what = pending.length > 0 ? `would apply ${pending.join(', ')}\n` : 'nothing to do\n'
  const levels = `schema level ${from?.level ?? 'none'} -> ${to.level}, which serves programs from level ${to.least} on\n`
  const waits = inTheWay === undefined ? '' : `it would wait for ${inTheWay}\n`
  process.stdout.write(`${newer}${what}${levels}${waits}`)
  return inTheWay === undefined ? EXIT.ok : EXIT.failure
}
