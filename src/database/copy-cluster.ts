/**
 * Copies an embedded cluster while it runs. The npm packages bring no pg_basebackup, so this is what it does, by PostgreSQL's own
 * functions: https://www.postgresql.org/docs/18/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
 */
import { constants } from 'node:fs'
import { chmod, copyFile, mkdir, open, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import type { ServiceUser } from './postgres-binaries.ts'
import { findServiceUser } from './postgres-binaries.ts'
import { giveTo } from './postgres-cluster.ts'

export interface CopyClusterOptions {
  /** whose cluster is copied */
  readonly dataDir: string
  /** to the database `postgres` of the server that runs on it */
  readonly superuserUrl: string
  /** a data directory too; what is copied recovers by itself when it is started */
  readonly to: string
}

/** What a server makes anew. The WAL is copied at the end, as far as it is needed. */
const NOT_COPIED =
  /^(pg_(wal|replslot|dynshmem|notify|serial|snapshots|stat_tmp|subtrans)\/.*|(.*\/)?(pgsql_tmp|pg_internal\.init)[^/]*|(postmaster\.(pid|opts)|backup_label|tablespace_map))$/
const SEGMENT = /^[0-9A-F]{24}$/

/** The moment that it is a copy of. Rejects when the server ends meanwhile; what was copied until then is of no use. */
export async function copyRunningCluster({ dataDir, superuserUrl, to }: CopyClusterOptions): Promise<Date> {
  const [source, target] = [join(dataDir, 'postgres', 'data'), join(to, 'postgres', 'data')]
  const user = await findServiceUser()
  const client = new Client({ connectionString: superuserUrl, application_name: 'sluice backup' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    // Gone with this connection. Without it, checkpoints would remove WAL that the copy needs.
    await client.query(`select pg_create_physical_replication_slot('sluice_backup_' || pg_backend_pid(), true, true)`)
    await client.query(`select pg_backup_start('sluice', true)`)
    await makeHome(to, user)
    await copyTree(source, target, user, (path) => !NOT_COPIED.test(path))
    const { rows } = await client.query<{ label: string; last: string; now: Date }>(
      `select labelfile as label, pg_walfile_name(lsn) as last, now() from pg_backup_stop(wait_for_archive => false)`,
    )
    const { label, last, now } = rows[0]!
    const first = /^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)/.exec(label)?.[1] ?? ''
    await copyWal(join(source, 'pg_wal'), join(target, 'pg_wal'), { first, last, user })
    await writeFile(join(target, 'backup_label'), label, { mode: 0o600 })
    await giveTo(user, join(target, 'backup_label'))
    await copyPasswords(dataDir, to)
    return now
  } finally {
    await client.end()
  }
}

/** The cluster of a data directory whose server is not running. */
export async function copyStoppedCluster(dataDir: string, to: string): Promise<void> {
  const user = await findServiceUser()
  await makeHome(to, user)
  await copyTree(join(dataDir, 'postgres', 'data'), join(to, 'postgres', 'data'), user)
  await copyPasswords(dataDir, to)
}

const copyPasswords = (from: string, to: string): Promise<void> =>
  copyPrivate(join(from, 'postgres', 'passwords.json'), join(to, 'postgres', 'passwords.json'))

/** A file that only `user` may read: whoever we are, unless root. Blocks are shared with the original where the file system can. */
export async function copyPrivate(from: string, to: string, user?: ServiceUser): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE)
  await chmod(to, 0o600)
  await giveTo(user, to)
}

async function makeHome(dataDir: string, user: ServiceUser | undefined): Promise<void> {
  // as `openCluster` makes it: the service user walks through
  await mkdir(join(dataDir, 'postgres'), { recursive: true, mode: user === undefined ? 0o700 : 0o711 })
}

/** `wanted` is asked with paths below `from`; directories are made in any case, PostgreSQL expects them all. */
async function copyTree(
  from: string,
  to: string,
  user: ServiceUser | undefined,
  wanted: (path: string) => boolean = () => true,
): Promise<void> {
  for (const directory of ['', ...(await directoriesBelow(from)).filter(wanted)]) {
    await mkdir(join(to, directory), { mode: 0o700 })
    await giveTo(user, join(to, directory))
    const entries = await readdir(join(from, directory), { withFileTypes: true })
    for (const entry of entries) {
      const path = join(directory, entry.name)
      // a table that is dropped meanwhile takes its files with it, as its WAL will tell
      if (entry.isFile() && wanted(path)) await copyPrivate(join(from, path), join(to, path), user).catch(ignoreMissing)
    }
  }
}

async function directoriesBelow(root: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(root, below), { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(below, name))
  return (await Promise.all(names.map(async (name) => [name, ...(await directoriesBelow(root, name))]))).flat()
}

interface WalRange {
  first: string
  last: string
  user: ServiceUser | undefined
}

async function copyWal(from: string, to: string, { first, last, user }: WalRange): Promise<void> {
  // what lies ahead of `last` are old segments with new names
  const needed = (name: string): boolean => name.endsWith('.history') || (SEGMENT.test(name) && name >= first && name <= last)
  const names = (await readdir(from)).filter(needed)
  if (!names.includes(first)) throw new Error(`the WAL of the backup is incomplete: ${first} is gone`)
  for (const name of names) await copyPrivate(join(from, name), join(to, name), user)
  for (const directory of ['archive_status', 'summaries']) {
    await mkdir(join(to, directory), { mode: 0o700 })
    await giveTo(user, join(to, directory))
  }
}

/** Returns when everything below is on the disk, also that it is there. */
export async function syncTree(root: string): Promise<void> {
  for (const directory of ['', ...(await directoriesBelow(root))]) {
    const entries = await readdir(join(root, directory), { withFileTypes: true })
    for (const entry of entries) if (entry.isFile()) await sync(join(root, directory, entry.name))
    await sync(join(root, directory))
  }
}

/** A file, or which names a directory has. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path)
  await handle.sync().finally(() => handle.close())
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
