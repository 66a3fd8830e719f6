/** `sluice backup`: a copy of the data directory while a server runs on it, tried before it is called a backup. */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { auditKeysOf } from '../app/audit.ts'
import { readCheckpoint, readLastSeal } from '../audit/read-chain.ts'
import { auditEntry, recordAudit } from '../audit/record-audit.ts'
import { createSealedHead } from '../audit/sealed-head.ts'
import { verifyAudit } from '../audit/verify-audit.ts'
import type { VerifiedPlace } from '../audit/verify-audit.ts'
import type { AuditKeys } from '../audit/audit-keys.ts'
import type { Config } from '../config/config-types.ts'
import { copyPrivate, copyRunningCluster, sync, syncTree } from '../database/copy-cluster.ts'
import { openDatabase } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { endOrphanIn, startEmbedded, visitEmbedded } from '../database/embedded.ts'
import type { Logger } from '../log.ts'

export const BACKUP_USAGE = `usage: sluice backup <directory>

Copies the embedded database, while it runs, into a directory that does not exist yet, with the secrets that development made.
`

/** In a backup that is whole; written last. */
export const BACKUP_FILE = 'backup.json'

export interface BackupFacts {
  readonly format: 1
  readonly madeAt: string
  /** events of the audit log */
  readonly audited: number
}

const ROWS_AT_A_TIME = 10_000
/** Besides the cluster: made again, or written anew here. */
const LEFT_OUT = new Set(['audit-head', BACKUP_FILE])

/** The process's exit code. Throws what went wrong; then there is no backup. */
export async function runBackupCommand(args: readonly string[], config: Config, log: Logger): Promise<number> {
  const { positionals } = parseArgs({ args: [...args], allowPositionals: true, options: {} })
  const [given, ...rest] = positionals
  if (given === undefined || rest.length > 0) {
    process.stderr.write(BACKUP_USAGE)
    return 64
  }
  if (config.database.url) throw new Error('this copies the embedded database: docs/operating.md says how to back up your own')
  const target = resolve(given)
  if (await stat(target).catch(() => undefined)) throw new Error(`${target} is there already: a backup wants a new directory`)
  await mkdir(dirname(target), { recursive: true })
  await sweepUnfinished(target)
  const aside = `${target}.unfinished-${process.pid}`
  try {
    await mkdir(aside, { mode: 0o700 })
    const madeAt = await copyDataDirectory(config, aside, log)
    const facts: BackupFacts = { format: 1, madeAt: madeAt.toISOString(), audited: await tryBackup(config, aside, log) }
    await syncTree(aside)
    // what has this file is whole, and on the disk
    await writeFile(join(aside, BACKUP_FILE), `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o600, flush: true })
    await sync(aside)
    await rename(aside, target)
    await sync(dirname(target))
    process.stdout.write(
      `${target} is a backup, as of ${facts.madeAt}: it was started once, and all ${facts.audited} events of its audit log verify.\n`,
    )
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
  return 0
}

/** What a backup left that was killed: nobody else may write there while one runs. */
async function sweepUnfinished(target: string): Promise<void> {
  const unfinished = `${basename(target)}.unfinished-`
  for (const name of await readdir(dirname(target))) {
    if (!name.startsWith(unfinished) || isAlive(Number(name.slice(unfinished.length)))) continue
    await endOrphanIn(join(dirname(target), name))
    await rm(join(dirname(target), name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function copyDataDirectory(config: Config, to: string, log: Logger): Promise<Date> {
  const { dataDir } = config.database
  let madeAt: Date
  const running = await visitEmbedded({ dataDir, log })
  try {
    const database = await openDatabase({ connection: running.appUrl, entities: [], poolSize: 1, log })
    try {
      await tellOfBackup(database, auditKeysOf(config))
    } finally {
      await database.close()
    }
    madeAt = await copyRunningCluster({ dataDir, superuserUrl: running.superuserUrl, to })
  } finally {
    await running.stop()
  }
  for (const entry of await readdir(dataDir, { withFileTypes: true }))
    if (entry.isFile() && !LEFT_OUT.has(entry.name)) await copyPrivate(join(dataDir, entry.name), join(to, entry.name))
  return madeAt
}

/** Everything leaves the house with it, so it is told before. */
async function tellOfBackup(database: Database, auditKeys: AuditKeys): Promise<void> {
  const facts = { type: 'database.backed_up', severity: 'NOTICE' } as const
  const entry = auditEntry({ origin: {}, services: { database, auditKeys } }, facts, { kind: 'SYSTEM' })
  await database.transaction((em) => recordAudit(em, entry))
}

/** Starts the copy once: it recovers to a moment when all is whole, and its audit log is walked: how many events. Throws when anything is wrong. */
async function tryBackup(config: Config, copy: string, log: Logger): Promise<number> {
  const server = await startEmbedded({ dataDir: copy, log, settings: { autovacuum: 'off' } })
  try {
    const database = await openDatabase({ connection: server.appUrl, entities: [], poolSize: 1, log })
    try {
      const keys = auditKeysOf(config)
      const audited = await verifyWhole(database, keys)
      const last = await readLastSeal(database)
      const begins = (await readCheckpoint(database))?.position ?? 0
      const head = createSealedHead(keys, join(copy, 'audit-head'))
      if (last) await head.replace({ position: last.position, hash: last.hash, checkpoint: begins })
      return audited
    } finally {
      await database.close()
    }
  } finally {
    await server.stop()
    await rm(join(copy, 'postgres', 'socket'), { recursive: true, force: true })
    await rm(join(copy, 'postgres', 'postgres.log'), { force: true })
  }
}

/** How many events there are. Throws where the log breaks. */
export async function verifyWhole(database: Database, keys: AuditKeys): Promise<number> {
  // what is remembered outside is of the original, which goes on
  const head = createSealedHead(keys)
  let checked = 0
  for (let after: VerifiedPlace = { position: 0 }; ;) {
    const page = await verifyAudit({ database, keys, head, after, limit: ROWS_AT_A_TIME })
    checked += page.checked
    if (page.broken) throw new Error(`the audit log of the copy is broken behind seal ${page.position}: ${page.broken.why}`)
    if (page.complete) return checked
    after = page.place ?? { position: page.position }
  }
}

/** Throws when it is no backup, or none that this release can read. */
export async function readBackupFacts(directory: string): Promise<BackupFacts> {
  const text = await readFile(join(directory, BACKUP_FILE), 'utf8').catch(() => undefined)
  if (text === undefined) throw new Error(`${directory} is no backup that is whole: it has no ${BACKUP_FILE}`)
  const facts = JSON.parse(text) as BackupFacts
  if (facts.format !== 1) throw new Error(`${directory} was made by a newer release`)
  return facts
}
