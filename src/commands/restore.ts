/** `sluice restore` and `sluice restored`: from a backup back to a database that may run. */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { auditKeysOf } from '../app/audit.ts'
import { openMigrated } from '../app/database.ts'
import { createSealedHead } from '../audit/sealed-head.ts'
import type { Config } from '../config/config-types.ts'
import { copyPrivate, copyStoppedCluster, sync, syncTree } from '../database/copy-cluster.ts'
import { openDatabase } from '../database/database.ts'
import { endOrphanIn } from '../database/embedded.ts'
import type { Logger } from '../log.ts'
import { BACKUP_FILE, readBackupFacts, verifyWhole } from './backup.ts'
import { markRestored } from './mark-restored.ts'
import type { Restored } from './mark-restored.ts'

export const RESTORE_USAGE = `usage: sluice restore <directory> [--shorter-log]
       sluice restored [--shorter-log]

restore   puts a backup where SLUICE_DATA_DIR says, where nothing may be yet
restored  makes a database fit to run that its own tools restored (DATABASE_URL)

--shorter-log  you know that the audit log ends earlier than it did before the restore
`

/** What a restore leaves that is killed: the next one removes it. */
const UNFINISHED = 'restoring'
const IN_THE_WAY_OF_NOTHING = new Set([UNFINISHED, 'lost+found'])
const OPTIONS = { 'shorter-log': { type: 'boolean' } } as const

/** The process's exit code. Throws with a sentence for the operator. */
export async function runRestoreCommand(args: readonly string[], config: Config, log: Logger): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS })
  const [given, ...rest] = positionals
  if (given === undefined || rest.length > 0) {
    process.stderr.write(RESTORE_USAGE)
    return 64
  }
  if (config.database.url) throw new Error('this restores the embedded database: for your own, see docs/operating.md')
  const [from, to] = [resolve(given), config.database.dataDir]
  const facts = await readBackupFacts(from)
  await mkdir(to, { recursive: true, mode: 0o700 })
  const there = (await readdir(to)).filter((name) => !IN_THE_WAY_OF_NOTHING.has(name))
  if (there.length > 0) throw new Error(`${to} is not empty (${there.slice(0, 3).join(', ')} ...): nothing is overwritten`)

  // beside what it will be, on the same volume: the cluster comes last, so that none is there before all is
  const aside = join(to, UNFINISHED)
  await endOrphanIn(aside)
  await rm(aside, { recursive: true, force: true })
  try {
    await mkdir(aside, { mode: 0o700 })
    await copyStoppedCluster(from, aside)
    const names = await readFiles(from)
    for (const name of names) await copyPrivate(join(from, name), join(aside, name))
    const restored = await makeFit(config, aside, values['shorter-log'] ?? false, log)
    await syncTree(aside)
    for (const name of [...(await readFiles(aside)), 'postgres']) await rename(join(aside, name), join(to, name))
    await sync(to)
    process.stdout.write(`${to} is what it was on ${facts.madeAt}. ${tell(restored)}`)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
  return 0
}

const readFiles = async (directory: string): Promise<string[]> =>
  (await readdir(directory, { withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name !== BACKUP_FILE)
    .map(({ name }) => name)

async function makeFit(config: Config, dataDir: string, shorterLog: boolean, log: Logger): Promise<Restored> {
  const here = { ...config, database: { ...config.database, dataDir } }
  const keys = auditKeysOf(here)
  const head = createSealedHead(keys, config.audit.headPath ?? join(dataDir, 'audit-head'))
  await using stack = new AsyncDisposableStack()
  const { appUrl, ownerUrl } = await openMigrated({ config: here, log, onFatal: () => {} }, stack)
  const restored = await markRestored({ ownerUrl, keys, head, shorterLog, log })
  const database = await openDatabase({ connection: appUrl, entities: [], poolSize: 1, log })
  stack.defer(() => database.close())
  await verifyWhole(database, keys)
  return restored
}

export async function runRestoredCommand(args: readonly string[], config: Config, log: Logger): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS })
  if (!config.database.url)
    throw new Error('this is for a database of your own (DATABASE_URL): `sluice restore` does it by itself')
  const keys = auditKeysOf(config)
  const head = createSealedHead(keys, config.audit.headPath ?? join(config.database.dataDir, 'audit-head'))
  await using stack = new AsyncDisposableStack()
  const { ownerUrl } = await openMigrated({ config, log, onFatal: () => {} }, stack)
  const restored = await markRestored({ ownerUrl, keys, head, shorterLog: values['shorter-log'] ?? false, log })
  process.stdout.write(tell(restored))
  return 0
}

const tell = ({ endedSessions, released, lostSeals }: Restored): string => `It may run now.
  ${released} executions were being worked on: workers take them over.
  ${endedSessions} sessions were ended: everybody signs in again.
  ${lostSeals === 0 ? 'The audit log ends where it did.' : `${lostSeals} seals of the audit log are gone, which the log says now.`}
  What was revoked after the backup works again: look at API keys, grants, roles and passwords that were changed since.
`
